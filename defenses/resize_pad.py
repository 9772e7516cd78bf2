"""Random resizing and padding (Xie et al. 2018, https://arxiv.org/abs/1711.01991)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import torch
from torch import Tensor

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import without_rounding
from ._opencv import suits, with_gradient
from ._resampling import read


@register_defense("resize-pad")
@dataclass(frozen=True, kw_only=True)
class ResizePad(InputTransform):
    """Shrink every image by a random factor and place it at random on a canvas filled with `value`.

    The factor lies between `min_scale` and 1 and is equal for both sides up to rounding to whole pixels; all sizes are
    equally likely, and the interpolation is bilinear. A side too short for a smaller size in that range may still
    shrink by one pixel. The canvas has the size of the image, so that any network accepts it. The paper enlarges 299
    pixels to 299..330 on a canvas of 331: the default covers the same range of scales. The paper pads with 0 in images
    in [-1, 1], which is 0.5 here; black padding costs the networks that ship with foolbench 10 to 27 percentage points
    of accuracy.

    Broken by PGD through the mean of several draws, EOT (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420).
    """

    min_scale: float = 0.9
    value: float = 0.5

    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.min_scale <= 1:
            raise ConfigError(f"Expected min_scale in (0, 1], got {self.min_scale}.")
        if not 0 <= self.value <= 1:
            raise ConfigError(f"Expected a padding value in [0, 1], got {self.value}.")

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (it depends on `min_scale`)
        return self.min_scale < 1

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        down, right = self._extents(x.shape[2:], rng)
        if suits(x):
            return with_gradient(self._by_opencv(x, down, right), lambda: self._in_torch(x, down, right), x)
        return self._in_torch(x, down, right)

    def back(self, maps: Tensor, *, rng: Draws) -> tuple[Tensor, Tensor]:
        height, width = maps.shape[3:]
        (rows, columns), (top, left) = zip(*self._extents((height, width), rng), strict=True)
        places = _on_canvas(height, rows, top), _on_canvas(width, columns, left)
        found = read(maps[:, 0], places[0][:, None], places[1][:, None])
        return found, torch.ones_like(found[:, :, 0], dtype=torch.bool)

    def _extents(self, sides: Sequence[int], rng: Draws) -> Sequence[tuple[Tensor, Tensor]]:
        """Draw the length and start (N,) of the shrunk images along height and along width."""
        size = rng.uniform()
        return [self._extent(side, size, rng.uniform()) for side in sides]

    def _in_torch(self, x: Tensor, down: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
        rows, in_rows = _places(x.shape[2], *down)
        columns, in_columns = _places(x.shape[3], *right)
        small = read(x, rows[:, None], columns[:, None])[:, 0]
        inside = in_rows[:, None, :, None] & in_columns[:, None, None, :]
        return without_rounding(torch.where(inside, small, self.value))

    def _extent(self, side: int, size: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Return length and start (N,) of the shrunk images along one side; `size`, `offset` are uniform in [0, 1)."""
        smallest = max(1, min(math.ceil(self.min_scale * side), side - 1)) if self.min_scale < 1 else side
        length = smallest + _choose(side - smallest + 1, size)
        return length, _choose(side - length + 1, offset)

    def _by_opencv(self, x: Tensor, down: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
        canvas = torch.full_like(x, self.value, memory_format=torch.contiguous_format)
        extents = torch.stack([*down, *right], dim=1).int().tolist()
        for image, framed, (height, top, width, left) in zip(x.detach().numpy(), canvas.numpy(), extents, strict=True):
            for plane, out in zip(image, framed, strict=True):
                cv2.resize(plane, (width, height), dst=out[top : top + height, left : left + width])
        return canvas.clamp_(0, 1)


def _places(side: int, length: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return for the pixels of a canvas side their place in the image, and whether they are in it, (N, side)."""
    pixels = torch.arange(side, device=length.device) - start[:, None]
    places = (pixels + 0.5) * (side / length)[:, None] - 0.5
    return places.clamp(0, side - 1), (pixels >= 0) & (pixels < length[:, None])


def _on_canvas(side: int, length: Tensor, start: Tensor) -> Tensor:
    """Return where the pixels of one side of the image lie on the canvas, (N, side)."""
    pixels = torch.arange(side, device=length.device)
    places = start[:, None] + (pixels + 0.5) * (length / side)[:, None] - 0.5
    return torch.minimum(torch.maximum(places, start[:, None]), (start + length - 1)[:, None])


def _choose(count: Tensor | int, uniform: Tensor) -> Tensor:
    """Map numbers in [0, 1) to 0..count-1; clamped, since their product with `count` may round up to `count`."""
    return torch.clamp((uniform * count).floor(), max=count - 1)
