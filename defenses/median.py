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

_AT_A_TIME = 2**26  # values in the windows that a GPU sorts at a time


@register_defense("median")
@dataclass(frozen=True, kw_only=True)
class MedianSmoothing(InputTransform):
    """Replace every value by the median over a window of `size` x `size` pixels, per channel.

    Borders repeat the edge pixel. An even window, such as the paper's 2 x 2, reaches one pixel further up and to the
    left, and the larger of the two middle values is taken: the convention of SciPy's median_filter, which the paper's
    code calls. Borders there mirror the image, edge pixel included, which is equivalent for windows of 2 and 3 pixels.
    Raises InputError for images no larger than size // 2 pixels a side.

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
    """Median of every window; the gradient is shared equally by the window's pixels that have the median value."""

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
    """Return the padded images, shifted to each of the size^2 places in the window."""
    height, width = (side - size + 1 for side in padded.shape[2:])
    places = [(top, left) for top in range(size) for left in range(size)]
    return [padded[:, :, top : top + height, left : left + width] for top, left in places]


def _medians(padded: Tensor, size: int) -> Tensor:
    if size == 2:
        return _second_of_four(padded)
    if suits(padded) and size in (3, 5):  # OpenCV supports larger windows for uint8 only
        return _by_opencv(padded, size)
    # the windows of an image take size^2 times its memory
    count = 1 if suits(padded) else max(1, _AT_A_TIME // (padded[0].numel() * size**2))
    parts = padded.split(count)
    return torch.cat([_upper_middle(part.unfold(2, size, 1).unfold(3, size, 1).flatten(4)) for part in parts])


def _second_of_four(padded: Tensor) -> Tensor:
    """Return the second largest value of each 2 x 2 window, from the maximum and minimum of each column."""
    upper, lower = padded[:, :, :-1], padded[:, :, 1:]
    high, low = torch.maximum(upper, lower), torch.minimum(upper, lower)
    second = torch.minimum(high[..., :-1], high[..., 1:])
    return torch.maximum(second, low[..., :-1], out=second).clamp_(min=low[..., 1:])


def _by_opencv(padded: Tensor, size: int) -> Tensor:
    """Filter all planes as one tall image; their padding keeps windows from reaching into the next plane."""
    count, channels, height, width = padded.shape
    radius = size // 2
    tall = cv2.medianBlur(padded.reshape(-1, width).numpy(), size)
    planes = torch.from_numpy(tall).view(count, channels, height, width)
    return planes[:, :, radius:-radius, radius:-radius].contiguous()


def _upper_middle(windows: Tensor) -> Tensor:
    """Return the median over the last dimension, the larger of the two middle values for an even number."""
    middle = windows.shape[-1] // 2
    if not suits(windows):
        return windows.sort(dim=-1).values[..., middle]  # for few values a GPU sorts faster than it selects
    values = windows.numpy()
    values.partition(middle, axis=-1)  # NumPy: twice as fast as torch
    return torch.from_numpy(values[..., middle].copy())
