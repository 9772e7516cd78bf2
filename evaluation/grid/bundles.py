"""Cells that share a row: the worst case over the attacks of a group, and the mean over the seeds of an attack."""

from dataclasses import dataclass
from typing import Any, Literal

from ...core.threat import Threat
from .cells import Cell

MEAN = "mean"
"""The value of the column `seed` in a row that is a mean over seeds."""


def is_of_one_seed(seed: Any) -> bool:
    """Return whether a row, by its column `seed`, belongs to one of several seeds.

    Where only one row per attack is shown or chosen, the mean over the seeds is preferred to such a row.
    """
    return str(seed).isdigit()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A group of jobs, crafted on one `source` network, whose cells on each system share a row.

    `name` tells bundles of one kind apart; `threat` those of an ensemble that a recipe lists with several budgets.
    """

    kind: Literal["worst case", "mean"]
    name: str
    source: str
    threat: Threat


def bundles(cell: Cell) -> list[Bundle]:
    """Return the bundles that a cell belongs to."""
    job, threat, found = cell.job, cell.job.attack.threat, []
    if job.seeds > 1:
        found.append(Bundle(kind="mean", name=f"{job.attack_name} {job.parameters}", source=job.source, threat=threat))
    if job.group:
        found.append(Bundle(kind="worst case", name=job.group, source=job.source, threat=threat))
    return found
