"""Median smoothing (Xu et al. 2018, https://arxiv.org/abs/1704.01155)."""

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ._window import check_reach


@register_defense("median")
@dataclass(frozen=True, kw_only=True)
class MedianSmoothing(InputTransform):
    """Take the median over a window of `size` x `size` pixels, per channel; borders repeat the edge pixel."""

    size: int = 3

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ConfigError(f"Expected an odd window size of at least 3 pixels, got {self.size}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        radius = self.size // 2
        check_reach(self, radius, x)
        return cast(Tensor, _Median.apply(F.pad(x, (radius,) * 4, mode="replicate"), self.size))


class _Median(torch.autograd.Function):
    """The median of every window; its gradient goes in equal parts to the pixels of the window that hold its value."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, size: int) -> Tensor:
        medians = _by_opencv(padded, size) if _suits_opencv(padded, size) else _by_selection(padded, size)
        ctx.size = size
        ctx.save_for_backward(padded, medians)
        return medians

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        padded, medians = ctx.saved_tensors
        chosen = [view == medians for view in _views(padded, ctx.size)]
        holders = torch.zeros_like(medians)
        for here in chosen:
            holders += here
        share = gradients[0] / holders
        result = torch.zeros_like(padded)
        for view, here in zip(_views(result, ctx.size), chosen, strict=True):
            view.add_(share * here)
        return result, None


def _views(padded: Tensor, size: int) -> list[Tensor]:
    """The padded images shifted to every place in the window."""
    height, width = (side - size + 1 for side in padded.shape[2:])
    places = [(top, left) for top in range(size) for left in range(size)]
    return [padded[:, :, top : top + height, left : left + width] for top, left in places]


def _suits_opencv(padded: Tensor, size: int) -> bool:
    return padded.device.type == "cpu" and padded.dtype == torch.float32 and size <= 5  # larger ones: bytes only


def _by_opencv(padded: Tensor, size: int) -> Tensor:
    """All planes as one tall image: padding keeps the windows of each from the next."""
    count, channels, height, width = padded.shape
    radius = size // 2
    tall = cv2.medianBlur(padded.detach().reshape(-1, width).numpy(), size)
    planes = torch.from_numpy(tall).view(count, channels, height, width)
    return planes[:, :, radius:-radius, radius:-radius].contiguous()


def _by_selection(padded: Tensor, size: int) -> Tensor:
    """Image by image: the windows of one fill size^2 times its memory."""
    middle = size * size // 2
    medians = []
    for image in padded.detach():
        windows = image.unfold(1, size, 1).unfold(2, size, 1).flatten(3)
        if windows.device.type == "cpu":
            values = windows.numpy()
            values.partition(middle, axis=-1)  # twice as fast as torch's median
            medians.append(torch.from_numpy(values[..., middle].copy()))
        else:
            medians.append(windows.median(dim=-1).values)
    return torch.stack(medians)
