"""Whether chance has a part in what images come to: then the largest of several rates of an image is chance."""

from ..grid.cells import Cell
from .flags import SINGLE_DRAW
from .scores import Scores


def is_by_chance(cell: Cell, scores: Scores) -> bool:
    """Of a randomized defense, of a network that disagrees with itself, or was scored with one draw an image."""
    defense = cell.defense.defense
    randomized = defense is not None and defense.randomized
    return randomized or SINGLE_DRAW in scores.flags or bool(scores.numbers("floor").any())
