"""Ensembles of crops (Guo et al. 2018, https://arxiv.org/abs/1711.00117; GD-UAP, Table 10)."""

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


@register_defense("crop-ensemble")
@dataclass(frozen=True, kw_only=True)
class CropEnsemble(InputTransform):
    """Average the outputs for `crops` random crops of every image, each scaled back bilinearly to the image's size.

    Each side of a crop is the `fraction` of the image's side, rounded to whole pixels; all positions are equally
    likely. The paper's crops of 90 in 224 pixels (a fraction of 0.4) need networks that were trained on crops: those
    that ship with foolbench, which were not, then classify one image in ten correctly.

    Broken by PGD through the mean of several draws, EOT (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420).
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
        return _enlarged(x, *self._corners(x, rng), _size(x, self.fraction))

    def back(self, maps: Tensor, *, rng: Draws) -> tuple[Tensor, Tensor]:
        return _put_back(maps, *self._corners(maps, rng), _size(maps, self.fraction))

    def _corners(self, x: Tensor, rng: Draws) -> tuple[Tensor, Tensor]:
        """Draw the first rows and columns (N, V) of the crops of images or maps."""
        down, right = _rooms(x, self.fraction)
        return rng.integers(down + 1, (self.crops,)), rng.integers(right + 1, (self.crops,))


@register_defense("ten-crop")
@dataclass(frozen=True, kw_only=True)
class TenCrop(InputTransform):
    """Average the outputs for ten crops: the four corners and the centre, and their horizontal mirror images.

    Each side of a crop is the `fraction` of the image's side, rounded to whole pixels (by default 224 of 256 pixels);
    crops are scaled back bilinearly to the image's size.

    Broken by PGD through all of its crops; nothing published is known.
    """

    fraction: float = 0.875

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        both = torch.stack([x, x.flip(3)], dim=1).flatten(0, 1)
        return _enlarged(both, *self._corners(both), _size(x, self.fraction)).reshape(len(x), 10, *x.shape[1:])

    def back(self, maps: Tensor, *, rng: Draws) -> tuple[Tensor, Tensor]:
        both = maps.unflatten(1, (2, 5)).flatten(0, 1)
        found, shown = _put_back(both, *self._corners(both), _size(maps, self.fraction))
        mirrored = torch.arange(len(both), device=maps.device) % 2 == 1
        found = torch.where(mirrored[:, None, None, None, None], found.flip(-1), found)
        shown = torch.where(mirrored[:, None, None, None], shown.flip(-1), shown)
        return found.reshape(maps.shape), shown.reshape(len(maps), 10, *shown.shape[2:])

    def _corners(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first rows and columns (N, 5) of the crops of images or maps."""
        down, right = _rooms(x, self.fraction)
        tops, lefts = (0, 0, down, down, down // 2), (0, right, 0, right, right // 2)
        return _for_each(x, tops), _for_each(x, lefts)


def _for_each(x: Tensor, numbers: Sequence[int]) -> Tensor:
    """Return the same V numbers for every image, (N, V), filled in on the device: a copy would wait for a GPU."""
    return torch.stack([torch.full((len(x),), number, device=x.device) for number in numbers], dim=1)


def _enlarged(x: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the crops (N, V, C, H, W) of `size` at V positions (N, V) of every image, enlarged to the image's size."""
    if suits(x):
        return with_gradient(_by_opencv(x, tops, lefts, size), lambda: _in_torch(x, tops, lefts, size), x)
    return _in_torch(x, tops, lefts, size)


def _in_torch(x: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = _places(tops, size[0], x.shape[2]), _places(lefts, size[1], x.shape[3])
    return without_rounding(read(x, rows, columns))


def _by_opencv(x: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> Tensor:
    crops = x.new_empty(len(x), tops.shape[1], *x.shape[1:])
    places = torch.stack([tops, lefts], dim=2).tolist()
    for image, outs, starts in zip(x.detach().numpy(), crops.numpy(), places, strict=True):
        for planes, (top, left) in zip(outs, starts, strict=True):
            crop = image[:, top : top + size[0], left : left + size[1]]
            for plane, out in zip(crop, planes, strict=True):
                cv2.resize(plane, out.shape[::-1], dst=out)
    return crops


def _put_back(maps: Tensor, tops: Tensor, lefts: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Map predictions (N, V, C, H, W) for enlarged crops back to the images' pixels.

    Returns those maps and a mask (N, V, H, W) of the pixels that each crop shows.
    """
    rows, in_rows = _in_crops(tops, size[0], maps.shape[3])
    columns, in_columns = _in_crops(lefts, size[1], maps.shape[4])
    found = read(maps.flatten(0, 1), rows.flatten(0, 1)[:, None], columns.flatten(0, 1)[:, None])
    return found.reshape(maps.shape), in_rows[..., None] & in_columns[..., None, :]


def _in_crops(starts: Tensor, length: int, side: int) -> tuple[Tensor, Tensor]:
    """Return where the pixels of a side of the image lie in each enlarged crop, and whether they do, (N, V, side)."""
    pixels = torch.arange(side, device=starts.device) - starts[..., None]
    return (pixels + 0.5) * (side / length) - 0.5, (pixels >= 0) & (pixels < length)


def _places(starts: Tensor, length: int, side: int) -> Tensor:
    """Return where the pixels of enlarged crops, `length` long from `starts` on, lie along the image's side."""
    pixels = torch.arange(side, device=starts.device)
    places = ((pixels + 0.5) * (length / side) - 0.5).clamp(0, length - 1)
    return starts[..., None] + places


def _size(x: Tensor, fraction: float) -> tuple[int, int]:
    """Return the height and width of the crops of images or maps (..., H, W)."""
    height, width = (max(1, round(fraction * side)) for side in x.shape[-2:])
    return height, width


def _rooms(x: Tensor, fraction: float) -> tuple[int, int]:
    """Return by how many pixels crops can be shifted down and to the right."""
    height, width = _size(x, fraction)
    return x.shape[-2] - height, x.shape[-1] - width


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise ConfigError(f"Expected a fraction of the side in (0, 1], got {fraction}.")
