"""What the transforms of a barrage have in common: one image, and the chance that is its own."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from ...core.seeding import Draws

T = TypeVar("T")
Change = Callable[[Tensor, Draws], Tensor]
"""(one image (1, C, H, W) in [0, 1], its stream) to another of that shape, with the gradient to follow."""


def between(luck: Draws, low: float, high: float) -> float:
    return float(luck.uniform((), low, high))


def one_of(luck: Draws, things: Sequence[T]) -> T:
    return things[int(luck.integers(len(things)))]
