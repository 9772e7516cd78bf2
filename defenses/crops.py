"""Averaging over crops (Guo et al. 2018, https://arxiv.org/abs/1711.00117; GD-UAP, Table 10)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ._resampling import read


@register_defense("crop-ensemble")
@dataclass(frozen=True, kw_only=True)
class CropEnsemble(InputTransform):
    """Average the outputs for `crops` random crops of every image, each scaled back bilinearly to the image's size.

    A crop has the `fraction` of both sides of the image, rounded to whole pixels; all positions are equally likely.
    The paper's crops of 90 in 224 pixels (a fraction of 0.4) are for networks that were trained on crops: the embedded
    ones, which were not, then recognise 4 images of 10.
    """

    crops: int = 30
    fraction: float = 0.8

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.crops < 1:
            raise ConfigError(f"Expected crops >= 1, got {self.crops}.")
        _check_fraction(self.fraction)

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        rows, columns = (self._random_places(side, rng) for side in x.shape[2:])
        return read(x, rows, columns).clamp(0, 1)

    def _random_places(self, side: int, rng: Draws) -> Tensor:
        length = _length(side, self.fraction)
        return _places(rng.integers(side - length + 1, (self.crops,)), length, side)


@register_defense("ten-crop")
@dataclass(frozen=True, kw_only=True)
class TenCrop(InputTransform):
    """Average the outputs for the four corners, the centre and their mirror images, scaled back to the image's size.

    A crop has the `fraction` of both sides of the image, rounded to whole pixels, by default 224 of 256 pixels; the
    interpolation is bilinear.
    """

    fraction: float = 0.875

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        height, width = (_length(side, self.fraction) for side in x.shape[2:])
        down, right = x.shape[2] - height, x.shape[3] - width
        tops = torch.tensor([0, 0, down, down, down // 2], device=x.device)
        lefts = torch.tensor([0, right, 0, right, right // 2], device=x.device)
        rows, columns = _places(tops, height, x.shape[2]), _places(lefts, width, x.shape[3])
        rows, columns = torch.cat([rows, rows]), torch.cat([columns, x.shape[3] - 1 - columns])  # then mirrored
        return read(x, rows.expand(len(x), -1, -1), columns.expand(len(x), -1, -1)).clamp(0, 1)


def _places(starts: Tensor, length: int, side: int) -> Tensor:
    """Where along a side of the image the `side` pixels of views lie, whose crops have a length and start there."""
    pixels = torch.arange(side, device=starts.device)
    places = ((pixels + 0.5) * (length / side) - 0.5).clamp(0, length - 1)
    return starts[..., None] + places


def _length(side: int, fraction: float) -> int:
    return max(1, round(fraction * side))


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise ConfigError(f"Expected a fraction of the side in (0, 1], got {fraction}.")
