"""The type of a barrage's transforms, and helpers that draw their parameters from an image's own random stream."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from ...core.seeding import Draws

T = TypeVar("T")
Change = Callable[[Tensor, Draws], Tensor]
"""Maps one image (1, C, H, W) in [0, 1] and its random stream to the transformed image, with a gradient for attacks."""


def between(luck: Draws, low: float, high: float) -> float:
    return float(luck.uniform((), low, high))


def one_of(luck: Draws, things: Sequence[T]) -> T:
    return things[int(luck.integers(len(things)))]
