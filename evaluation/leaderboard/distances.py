"""How far from each image an attack has found what fools a system, and at how many of all budgets that is enough.

An attack that looks for the smallest change says with one distance an image what it would come to under every budget.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...core.attack import MinimalAttack
from ..grid.cells import Cell
from .bootstrap import Numbers
from .chance import is_by_chance
from .scores import Scores

AREA = "area"
"""The column of scores that says at what share of all budgets up to eps an image is fooled."""


class Distances(NamedTuple):
    """Of a finished cell: an entry per image, infinite where it is not fooled. None of them lies beyond `eps`."""

    values: Numbers
    eps: float


def is_minimal(cell: Cell) -> bool:
    """Whether its changes are the smallest that could be found on the very system that is scored.

    On another system something nearer may fool; so it may for one that attacks what other attacks have left.
    """
    attack = cell.job.attack
    looks_for_it = isinstance(attack, MinimalAttack) and attack.stops_at_boundary
    return looks_for_it and cell.direct and cell.job.after is None


def distances(cell: Cell, scores: Scores) -> Distances | None:
    """In the norm of the cell's attack, as measured.

    None where images are not either fooled or not: a randomized system is fooled at a rate, by some draws and not by
    others, at every distance, so that none is the distance of an image. None also where the size was not recorded.
    """
    attack, gfr = cell.job.attack, scores.numbers("gfr")
    if is_by_chance(cell, scores) or attack.norm not in scores or not np.isin(gfr, (0, 1)).all():
        return None
    size = scores.numbers(attack.norm).clip(max=attack.eps)  # which rounding may have gone beyond
    return Distances(np.where(gfr == 1, size, np.inf), attack.eps)


def with_areas(cell: Cell, scores: Scores) -> Scores:
    """With a column `area` where it is defined: of a minimal attack with a finite budget."""
    found = distances(cell, scores) if is_minimal(cell) and np.isfinite(cell.job.attack.eps) else None
    if found is None:
        return scores
    return scores.with_columns(**{AREA: _area(found)})


def with_largest_area(scores: Scores, members: Sequence[Scores]) -> Scores:
    """Of several attacks together: with the area under the best of them, where all have one."""
    if not all(AREA in member for member in members):
        return replace(scores, images=scores.images.drop(columns=AREA, errors="ignore"))
    return scores.with_columns(**{AREA: np.max([member.numbers(AREA) for member in members], axis=0)})


def _area(found: Distances) -> Numbers:
    """Of one image the curve is a step, from 0 to 1 at its distance."""
    return (1 - found.values / found.eps).clip(min=0)
