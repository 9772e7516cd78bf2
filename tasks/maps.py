"""What tasks share whose answers are maps."""

from collections.abc import Callable, Mapping

from torch import Tensor

FLIPS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "flip-left-right": lambda maps: maps.flip(2),
    "flip-up-down": lambda maps: maps.flip(1),
}
"""Of maps (N, H, W)."""


def mean_over_places(values: Tensor, counts: Tensor) -> Tensor:
    """The mean of each image's `values` (N, ...) over the places that count; 0 for an image that has none."""
    counted = values.where(counts, 0).flatten(1)
    return counted.sum(dim=1) / counts.flatten(1).sum(dim=1).clamp_min(1)
