"""Spatial smoothing (Xu et al. 2018, https://arxiv.org/abs/1704.01155; GD-UAP, Table 10)."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as image_ops

from ..core.defense import InputTransform
from ..core.errors import ConfigError, InputError
from ..core.registry import register_defense
from ..core.seeding import Draws


@register_defense("gaussian")
@dataclass(frozen=True, kw_only=True)
class GaussianSmoothing(InputTransform):
    """Convolution with a Gaussian of `sigma` pixels, cut off at 3 sigma; borders mirror all but the edge pixel."""

    sigma: float = 1.0

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise ConfigError(f"Expected sigma > 0 pixels, got {self.sigma}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        radius = math.ceil(3 * self.sigma)
        _check_reach(self, radius, x)
        smooth = image_ops.gaussian_blur(x, [2 * radius + 1] * 2, [self.sigma] * 2)
        return smooth.clamp(0, 1)  # the kernel sums to 1 only up to rounding


@register_defense("median")
@dataclass(frozen=True, kw_only=True)
class MedianSmoothing(InputTransform):
    """The median over a window of `size` x `size` pixels, per channel; borders repeat the edge pixel."""

    size: int = 3

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ConfigError(f"Expected an odd window size of at least 3 pixels, got {self.size}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        radius = self.size // 2
        _check_reach(self, radius, x)
        padded = F.pad(x, (radius,) * 4, mode="replicate")
        windows = padded.unfold(2, self.size, 1).unfold(3, self.size, 1)
        return windows.flatten(4).median(dim=4).values


def _check_reach(defense: InputTransform, radius: int, x: Tensor) -> None:
    if min(x.shape[2:]) <= radius:
        raise InputError(f"{defense} needs images larger than {radius} pixels a side, got {tuple(x.shape[2:])}.")
