"""Helpers of the tasks whose predictions are maps, one value per pixel."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

FLIPS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "flip-left-right": lambda maps: maps.flip(2),
    "flip-up-down": lambda maps: maps.flip(1),
}
"""Target maps that attacks can aim at: the mirrored versions of maps (N, H, W)."""


def nearest(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (N, H, W) of any type in another (height, width), each pixel that of the nearest centre."""
    rows, columns = (
        ((torch.arange(wanted, device=maps.device) + 0.5) * given / wanted).long()
        for given, wanted in zip(maps.shape[1:], size, strict=True)
    )
    return maps[:, rows[:, None], columns]


def mean_over_places(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean (N,) of each image's `values` (N, ...) where `counts` is True; 0 for an image without any."""
    counted = values.where(counts, 0).flatten(1)
    return counted.sum(dim=1) / counts.flatten(1).sum(dim=1).clamp_min(1)
