"""Some of the images that a run evaluates on."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Some evaluation samples: indices, images and targets, if there are any, on the model's device."""

    samples: Sequence[int]
    x: Tensor
    y: Tensor | None

    def part(self, rows: slice) -> "Shard":
        return Shard(samples=self.samples[rows], x=self.x[rows], y=None if self.y is None else self.y[rows])
