"""Cells that have a row together: the worst case over the attacks of a group, and the mean over an attack's seeds."""

from dataclasses import dataclass
from typing import Any, Literal

from ...core.threat import Threat
from .cells import Cell

MEAN = "mean"
"""What the column `seed` says of a mean over seeds."""


def is_of_one_seed(seed: Any) -> bool:
    """Whether a row, by its column `seed`, is of one of several: where there is room for a row an attack, or one is
    chosen, it stands behind their mean.
    """
    return str(seed).isdigit()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What is crafted on one network and has a row together on each system. `name` tells those of a kind apart, and of
    ensembles that are listed with several budgets the threat.
    """

    kind: Literal["worst case", "mean"]
    name: str
    source: str
    threat: Threat


def bundles(cell: Cell) -> list[Bundle]:
    """Those that a cell is of."""
    job, threat, found = cell.job, cell.job.attack.threat, []
    if job.seeds > 1:
        found.append(Bundle(kind="mean", name=f"{job.attack_name} {job.parameters}", source=job.source, threat=threat))
    if job.group:
        found.append(Bundle(kind="worst case", name=job.group, source=job.source, threat=threat))
    return found
