"""Gaussian smoothing (GD-UAP, https://arxiv.org/abs/1801.08092, Table 10)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ._opencv import filter_planes, suits, with_gradient
from ._window import check_reach


@register_defense("gaussian")
@dataclass(frozen=True, kw_only=True)
class GaussianSmoothing(InputTransform):
    """Convolve with a Gaussian of `sigma` pixels, cut off at 3 sigma; borders mirror all but the edge pixel."""

    sigma: float = 1.0

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise ConfigError(f"Expected sigma > 0 pixels, got {self.sigma}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        radius = math.ceil(3 * self.sigma)
        check_reach(self, radius, x)
        if suits(x):
            return with_gradient(self._by_opencv(x, radius), lambda: self._in_torch(x, radius), x)
        return self._in_torch(x, radius)

    def _in_torch(self, x: Tensor, radius: int) -> Tensor:
        distances = torch.arange(-radius, radius + 1, dtype=torch.float64, device=x.device)
        kernel = torch.softmax(-0.5 * (distances / self.sigma) ** 2, dim=0).to(x.dtype)
        down, across = (_matrix(kernel, side) for side in x.shape[2:])
        return (down.T @ (x @ across)).clamp(0, 1)  # the kernel sums to 1 only up to rounding

    def _by_opencv(self, x: Tensor, radius: int) -> Tensor:
        size = (2 * radius + 1, 2 * radius + 1)

        def blur(plane: np.ndarray, out: np.ndarray) -> None:
            cv2.GaussianBlur(plane, size, self.sigma, dst=out)

        return filter_planes(x, x.shape[2:], blur).clamp_(0, 1)


def _matrix(kernel: Tensor, side: int) -> Tensor:
    """The convolution of lines of `side` pixels, from the right: a product that is faster than conv2d, and so is its
    gradient.
    """
    pixels = torch.eye(side, dtype=kernel.dtype, device=kernel.device)
    mirrored = F.pad(pixels, (len(kernel) // 2,) * 2, mode="reflect")
    return F.conv1d(mirrored[:, None], kernel[None, None])[:, 0]
