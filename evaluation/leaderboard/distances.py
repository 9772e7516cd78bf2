"""Measure the distance of each adversarial image, and the share of budgets at which it fools the system.

For an attack that searches the smallest perturbation, one distance per image gives its result under every budget.
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
"""The column of scores with the share of budgets up to eps at which an image is fooled, in 0..1."""


class Distances(NamedTuple):
    """The distances (N,) of a finished cell's adversarial images, at most `eps`; infinite for images not fooled."""

    values: Numbers
    eps: float


def is_minimal(cell: Cell) -> bool:
    """Return whether a cell's perturbations are the smallest that its attack could find on the very system scored.

    On another system a smaller perturbation may fool. So it may for an attack that attacks only what others have left.
    """
    attack = cell.job.attack
    looks_for_it = isinstance(attack, MinimalAttack) and attack.stops_at_boundary
    return looks_for_it and cell.direct and cell.job.after is None


def distances(cell: Cell, scores: Scores) -> Distances | None:
    """Return the measured distances of a finished cell in the norm of its attack, or None if they are not defined.

    They are undefined if images can be fooled in part: a randomized system is fooled by some draws and not by others at
    every distance, so that no distance is that of the image. They are also missing if the size was not recorded.
    """
    attack, gfr = cell.job.attack, scores.numbers("gfr")
    if is_by_chance(cell, scores) or attack.norm not in scores or not np.isin(gfr, (0, 1)).all():
        return None
    size = scores.numbers(attack.norm).clip(max=attack.eps)  # rounding may have exceeded the budget
    return Distances(np.where(gfr == 1, size, np.inf), attack.eps)


def with_areas(cell: Cell, scores: Scores) -> Scores:
    """Add the column `area` if it is defined, that is, for a minimal attack with a finite budget."""
    found = distances(cell, scores) if is_minimal(cell) and np.isfinite(cell.job.attack.eps) else None
    if found is None:
        return scores
    return scores.with_columns(**{AREA: _area(found)})


def with_largest_area(scores: Scores, members: Sequence[Scores]) -> Scores:
    """Set `area` to the largest of several attacks, image by image; drop it unless all of them have one."""
    if not all(AREA in member for member in members):
        return replace(scores, images=scores.images.drop(columns=AREA, errors="ignore"))
    return scores.with_columns(**{AREA: np.max([member.numbers(AREA) for member in members], axis=0)})


def _area(found: Distances) -> Numbers:
    """Return the area per image, (N,) in 0..1; the curve of one image is a step from 0 to 1 at its distance."""
    return (1 - found.values / found.eps).clip(min=0)
