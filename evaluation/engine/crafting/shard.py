"""A shard: some of the images that a run evaluates on."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Some evaluation samples: indices, images `x` (N, C, H, W), and targets `y`, if any, on the model's device.

    `truths` are the targets in their own size, (height, width) each, which scores are against; None if those are `y`.
    """

    samples: Sequence[int]
    x: Tensor
    y: Tensor | None
    truths: Sequence[Tensor] | None = None

    def part(self, rows: slice) -> "Shard":
        """Return the samples of some rows as a shard."""
        y = None if self.y is None else self.y[rows]
        truths = None if self.truths is None else self.truths[rows]
        return Shard(samples=self.samples[rows], x=self.x[rows], y=y, truths=truths)
