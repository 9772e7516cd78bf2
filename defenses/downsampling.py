"""Downsampling (Liang, Hayes and Althoff 2017)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import clamped
from ..core.task import Task
from ._opencv import filter_planes, suits, with_gradient

LARGE = 128  # pixels a side from which OpenCV is faster than matrix products

Interpolation = Literal["area", "bilinear", "bicubic", "nearest"]


@register_defense("downsampling")
@dataclass(frozen=True, kw_only=True)
class Downsampling(InputTransform):
    """Shrink every image to `keep` percent of each side and, if `restore` is set, enlarge it to its original size.

    "area" averages the pixels that an output pixel covers (OpenCV's INTER_AREA) and enlarges bilinearly. "bilinear" and
    "bicubic" widen their filter when shrinking, against aliasing (as Pillow does). "nearest" takes single pixels.
    Without `restore` the network must accept images of the reduced size.

    Broken by PGD through it; nothing published is known.
    """

    keep: float = 75.0
    interpolation: Interpolation = "area"
    restore: bool = True

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 100:
            raise ConfigError(f"Expected to keep a percentage in (0, 100], got keep = {self.keep}.")
        if self.interpolation not in get_args(Interpolation):
            known = ", ".join(get_args(Interpolation))
            raise ConfigError(f"Expected interpolation to be one of {known}, got {self.interpolation!r}.")

    def check_task(self, task: Task) -> None:
        super().check_task(task)
        if not self.restore and task.class_scores is None:
            raise ConfigError(f"{self!r} leaves maps of another size than their images: expected restore = true.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        if self.interpolation == "area" and max(x.shape[2:]) >= LARGE and suits(x):
            return with_gradient(self._by_opencv(x), lambda: self._in_torch(x), x)
        return self._in_torch(x)

    def _in_torch(self, x: Tensor) -> Tensor:
        matrices = {side: self._matrix(side, like=x) for side in set(x.shape[2:])}
        down, across = (matrices[side] for side in x.shape[2:])
        planes = x.flatten(0, 1)  # matmul is faster with one batch dimension than with two
        return clamped(down @ (planes @ across.T)).unflatten(0, x.shape[:2])

    def _by_opencv(self, x: Tensor) -> Tensor:
        height, width = (self._length(side) for side in x.shape[2:])

        def shrink(plane: np.ndarray, out: np.ndarray) -> None:
            if self.restore:
                cv2.resize(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), plane.shape[::-1], dst=out)
            else:
                cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA, dst=out)

        return filter_planes(x, x.shape[2:] if self.restore else (height, width), shrink).clamp_(0, 1)

    def _length(self, side: int) -> int:
        return max(1, round(side * self.keep / 100))

    def _matrix(self, side: int, *, like: Tensor) -> Tensor:
        """Return the whole transform along one side as a matrix: every interpolation is linear and separable."""
        length = self._length(side)
        pixels = torch.eye(side, dtype=like.dtype, device=like.device)
        if self.interpolation == "area":
            small, mode = _shares(side, length, like=like), "bilinear"
        else:
            small, mode = _resized(pixels, length, self.interpolation), self.interpolation
        return _resized(small, side, mode) if self.restore else small


def _resized(lines: Tensor, count: int, mode: str) -> Tensor:
    """Resize a matrix (lines, pixels) to `count` lines."""
    size = (count, lines.shape[1])
    if mode == "nearest":
        return F.interpolate(lines[None, None], size, mode="nearest-exact")[0, 0]  # nearest to the pixels' centres
    return F.interpolate(lines[None, None], size, mode=mode, antialias=True)[0, 0]


def _shares(side: int, parts: int, *, like: Tensor) -> Tensor:
    """Return the weight of each pixel in the mean of each of `parts` equal parts of a side, (parts, side)."""
    edges = torch.arange(parts + 1, device=like.device, dtype=torch.float64) * (side / parts)
    pixels = torch.arange(side, device=like.device, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (overlap.clamp(min=0) * (parts / side)).to(like.dtype)
