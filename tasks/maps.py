"""Helpers of the tasks whose predictions are maps, one value per pixel."""

from collections.abc import Callable, Mapping

from torch import Tensor

FLIPS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "flip-left-right": lambda maps: maps.flip(2),
    "flip-up-down": lambda maps: maps.flip(1),
}
"""Target maps that attacks can aim at: the mirrored versions of maps (N, H, W)."""


def mean_over_places(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean (N,) of each image's `values` (N, ...) where `counts` is True; 0 for an image without any."""
    counted = values.where(counts, 0).flatten(1)
    return counted.sum(dim=1) / counts.flatten(1).sum(dim=1).clamp_min(1)
