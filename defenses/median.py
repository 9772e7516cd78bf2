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
from ._opencv import suits
from ._window import check_reach

_AT_A_TIME = 2**26  # values of windows, where there is no cache to stay in


@register_defense("median")
@dataclass(frozen=True, kw_only=True)
class MedianSmoothing(InputTransform):
    """Take the median over a window of `size` x `size` pixels, per channel; borders repeat the edge pixel.

    An even window, such as the paper's 2 x 2, reaches one pixel further up and to the left, and of the two values in
    the middle the larger one is taken: the convention of SciPy's median_filter, which the paper's code calls. Its
    borders mirror the image, edge pixel included, which is the same for windows of 2 and 3 pixels.

    Broken by gradient attacks through it (He et al. 2017, https://arxiv.org/abs/1706.04701).
    """

    size: int = 3

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ConfigError(f"Expected a window size of at least 2 pixels, got {self.size}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        before, after = self.size // 2, (self.size - 1) // 2
        check_reach(self, before, x)
        return cast(Tensor, _Median.apply(F.pad(x, (before, after) * 2, mode="replicate"), self.size))


class _Median(torch.autograd.Function):
    """The median of every window; its gradient goes in equal parts to the pixels of the window that hold its value."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, size: int) -> Tensor:
        medians = _medians(padded.detach(), size)
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


def _medians(padded: Tensor, size: int) -> Tensor:
    if size == 2:
        return _second_of_four(padded)
    if suits(padded) and size in (3, 5):  # larger windows OpenCV takes of bytes only
        return _by_opencv(padded, size)
    # the windows of an image fill size^2 times its memory
    count = 1 if suits(padded) else max(1, _AT_A_TIME // (padded[0].numel() * size**2))
    parts = padded.split(count)
    return torch.cat([_upper_middle(part.unfold(2, size, 1).unfold(3, size, 1).flatten(4)) for part in parts])


def _second_of_four(padded: Tensor) -> Tensor:
    """The second largest of each 2 x 2 pixels: the lesser of the pairs' maxima, or the greater of their minima."""
    upper, lower = padded[:, :, :-1], padded[:, :, 1:]
    high, low = torch.maximum(upper, lower), torch.minimum(upper, lower)
    second = torch.minimum(high[..., :-1], high[..., 1:])
    return torch.maximum(second, low[..., :-1], out=second).clamp_(min=low[..., 1:])


def _by_opencv(padded: Tensor, size: int) -> Tensor:
    """All planes as one tall image: padding keeps the windows of each from the next."""
    count, channels, height, width = padded.shape
    radius = size // 2
    tall = cv2.medianBlur(padded.reshape(-1, width).numpy(), size)
    planes = torch.from_numpy(tall).view(count, channels, height, width)
    return planes[:, :, radius:-radius, radius:-radius].contiguous()


def _upper_middle(windows: Tensor) -> Tensor:
    """The median of the last dimension; of an even number of values, the larger one in the middle."""
    middle = windows.shape[-1] // 2
    if not suits(windows):
        return windows.sort(dim=-1).values[..., middle]  # of few values: a GPU selects with a block for each window
    values = windows.numpy()
    values.partition(middle, axis=-1)  # twice as fast as torch
    return torch.from_numpy(values[..., middle].copy())
