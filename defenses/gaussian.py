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
from ..core.straight_through import without_rounding
from ._opencv import filter_planes, linear, suits
from ._window import check_reach


@register_defense("gaussian")
@dataclass(frozen=True, kw_only=True)
class GaussianSmoothing(InputTransform):
    """Blur every image with a Gaussian of `sigma` pixels, cut off at 3 sigma.

    Borders mirror all but the edge pixel. Raises InputError for images no larger than the radius, ceil(3 * sigma).

    Broken by gradient attacks through it (Carlini and Wagner 2017, https://arxiv.org/abs/1705.07263, of a mean filter).
    """

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
            blurred = linear(x, lambda x: self._blurred(x, radius), lambda gradient: self._spread(gradient, radius))
        else:
            blurred = self._in_torch(x, radius)
        return without_rounding(blurred)  # the kernel sums to 1 only up to rounding

    def _in_torch(self, x: Tensor, radius: int) -> Tensor:
        distances = torch.arange(-radius, radius + 1, dtype=torch.float64, device=x.device)
        kernel = torch.softmax(-0.5 * (distances / self.sigma) ** 2, dim=0).to(x.dtype)
        down, across = (_matrix(kernel, side) for side in x.shape[2:])
        return down.T @ (x @ across)

    def _blurred(self, x: Tensor, radius: int, border: int = cv2.BORDER_REFLECT_101) -> Tensor:
        size = (2 * radius + 1, 2 * radius + 1)

        def blur(plane: np.ndarray, out: np.ndarray) -> None:
            cv2.GaussianBlur(plane, size, self.sigma, dst=out, borderType=border)

        return filter_planes(x, x.shape[2:], blur)

    def _spread(self, gradient: Tensor, radius: int) -> Tensor:
        """Apply the adjoint of the blur: blur on a padded canvas of zeros, and mirror what leaves the border back."""
        spread = self._blurred(F.pad(gradient, (radius,) * 4), radius, cv2.BORDER_CONSTANT)
        for dimension in (2, 3):
            side = gradient.shape[dimension]
            before, inside, after = spread.split((radius, side, radius), dimension)
            inside.narrow(dimension, 1, radius).add_(before.flip(dimension))
            inside.narrow(dimension, side - 1 - radius, radius).add_(after.flip(dimension))
            spread = inside
        return spread.contiguous()


def _matrix(kernel: Tensor, side: int) -> Tensor:
    """Return the convolution as a matrix (side, side) to multiply from the right: faster than conv2d, gradient too."""
    pixels = torch.eye(side, dtype=kernel.dtype, device=kernel.device)
    mirrored = F.pad(pixels, (len(kernel) // 2,) * 2, mode="reflect")
    return mirrored.unfold(1, len(kernel), 1) @ kernel  # no conv1d, which a GPU may round to 10 bits
