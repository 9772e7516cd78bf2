"""Detect scores that depend on chance, of which the largest among several attacks would be chance, too."""

from ..grid.cells import Cell
from .flags import SINGLE_DRAW
from .scores import Scores


def is_by_chance(cell: Cell, scores: Scores) -> bool:
    """Return whether the scores of a cell depend on chance.

    They do behind a randomized defense, if they have the flag `single-draw`, and if the `floor` of any image is not 0,
    that is, if the system disagrees with itself on clean images.
    """
    defense = cell.defense.defense
    randomized = defense is not None and defense.randomized
    return randomized or SINGLE_DRAW in scores.flags or bool(scores.numbers("floor").any())
