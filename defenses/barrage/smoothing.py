"""Transforms that smooth the image."""

from torch import Tensor
from torch.nn import functional as F

from ...core.seeding import Draws
from ..bilateral import BilateralSmoothing
from ..gaussian import GaussianSmoothing
from ..median import MedianSmoothing
from ..total_variation import TotalVariation
from .luck import between, one_of


def smoothed(x: Tensor, luck: Draws) -> Tensor:
    """Smooth by a Gaussian (sigma at most 3 pixels), median, mean or bilateral filter, or by total variation."""
    kind, size = one_of(luck, ("gaussian", "median", "mean", "bilateral", "tv")), one_of(luck, (3, 5))
    room = min(x.shape[2:]) - 1
    if kind == "gaussian":
        return GaussianSmoothing(sigma=between(luck, 0.1, min(3.0, max(room, 1) / 3))).transform(x, rng=luck)
    if kind == "tv":
        return TotalVariation(drop=0.0, weight=between(luck, 0.05, 0.25)).transform(x, rng=luck)
    if size // 2 > room:
        return x
    if kind == "median":
        return MedianSmoothing(size=size).transform(x, rng=luck)
    if kind == "mean":
        return F.avg_pool2d(F.pad(x, (size // 2,) * 4, mode="reflect"), size, stride=1)
    return BilateralSmoothing(size=size, sigma_color=between(luck, 0.05, 0.3)).transform(x, rng=luck)
