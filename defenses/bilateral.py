"""Bilateral smoothing (Tomasi and Manduchi 1998, https://doi.org/10.1109/ICCV.1998.710815; GD-UAP, Table 10)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import without_rounding
from ._opencv import suits, with_gradient
from ._window import check_reach

STEEP = 0.05  # smallest sigma_color for which OpenCV's table of weights is fine enough
NEGLIGIBLE = -80.0  # smallest exponent of a weight: smaller weights are subnormal numbers, which are slow


@register_defense("bilateral")
@dataclass(frozen=True, kw_only=True)
class BilateralSmoothing(InputTransform):
    """Smooth every image with a bilateral filter, which averages pixels close in place and colour and keeps edges.

    The window is a disk of `size` pixels diameter. Both weights are Gaussian: of the distance, with `sigma_space`
    pixels, and of the colour difference, summed over the channels as in OpenCV, with `sigma_color` in units of the
    pixel range [0, 1]. Borders mirror all but the edge pixel. Raises InputError for images no larger than the window's
    radius.

    Broken by PGD through it; nothing published is known.
    """

    size: int = 5
    sigma_color: float = 0.2
    sigma_space: float = 2.0

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ConfigError(f"Expected an odd window size of at least 3 pixels, got {self.size}.")
        if not 0 < self.sigma_color < math.inf:
            raise ConfigError(f"Expected sigma_color > 0, got {self.sigma_color}.")
        if not 0 < self.sigma_space < math.inf:
            raise ConfigError(f"Expected sigma_space > 0 pixels, got {self.sigma_space}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        radius = self.size // 2
        check_reach(self, radius, x)
        if suits(x) and x.shape[1] in (1, 3) and self.sigma_color >= STEEP:
            return with_gradient(self._by_opencv(x), lambda: self._in_torch(x, radius), x)
        return self._in_torch(x, radius)

    def _in_torch(self, x: Tensor, radius: int) -> Tensor:
        height, width = x.shape[2:]
        padded = F.pad(x, (radius,) * 4, mode="reflect")
        total, weights = x.clone(), torch.ones_like(x[:, :1])

        def window(images: Tensor, top: int, left: int) -> Tensor:
            return images[:, :, top : top + height, left : left + width]

        for down, right in _half_disk(radius):
            pairs, start = self._weights(padded, down, right), max(0, -right)
            # the weight of a pair serves both of its pixels: each is the other's neighbour
            for way, first in ((1, (radius, radius - start)), (-1, (radius - down, radius - right - start))):
                weight = window(pairs, *first)
                total.addcmul_(window(padded, radius + way * down, radius + way * right), weight)
                weights.add_(weight)
        return without_rounding(total / weights)

    def _by_opencv(self, x: Tensor) -> Tensor:
        images = x.detach().permute(0, 2, 3, 1).contiguous()
        smooth = images.new_empty(images.shape)
        for image, out in zip(images.numpy(), smooth.numpy(), strict=True):
            cv2.bilateralFilter(image, self.size, self.sigma_color, self.sigma_space, dst=out)
        return torch.clamp(smooth.permute(0, 3, 1, 2), 0, 1, out=torch.empty_like(x))

    def _weights(self, padded: Tensor, down: int, right: int) -> Tensor:
        """Return the weights (N, 1, ...) of all pairs of pixels at this offset, in the order of the upper pixel."""
        height, width = padded.shape[2:]
        upper = padded[:, :, : height - down, max(0, -right) : width - max(0, right)]
        lower = padded[:, :, down:, max(0, right) : width - max(0, -right)]
        colour = (upper[:, 0] - lower[:, 0]).abs_()
        for channel in range(1, padded.shape[1]):
            colour.add_((upper[:, channel] - lower[:, channel]).abs_())
        place = (down**2 + right**2) / (2 * self.sigma_space**2)
        exponent = colour.square_().mul_(-0.5 / self.sigma_color**2).sub_(place)
        return exponent.clamp_(min=NEGLIGIBLE).exp_()[:, None]


def _half_disk(radius: int) -> list[tuple[int, int]]:
    """Return the offsets (down, right) in one half of a disk, centre excluded: the other half are their opposites."""
    square = [(down, right) for down in range(radius + 1) for right in range(-radius, radius + 1)]
    return [(down, right) for down, right in square if (down, right) > (0, 0) and down**2 + right**2 <= radius**2]
