"""Fill dropped pixels from the pixels around them."""

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from ._opencv import filter_planes, linear, suits

_WINDOW = 5  # pixels


def filled(x: Tensor, kept: Tensor) -> Tensor:
    """Replace dropped pixels by the mean of the kept ones in a window around them, or of all if there are none."""
    mask = kept.to(x.dtype)
    overall = (x * mask).mean(dim=(2, 3), keepdim=True) / mask.mean(dim=(2, 3), keepdim=True)
    total = linear(x * mask, _window_mean, _window_mean)  # self-adjoint: the window is symmetric
    return torch.where(kept, x, (total + 1e-4 * overall) / (_window_mean(mask) + 1e-4))


def _window_mean(values: Tensor) -> Tensor:
    """Return the mean over a window around each pixel, with zeros beyond the border."""
    if not suits(values):
        return F.avg_pool2d(values, _WINDOW, stride=1, padding=_WINDOW // 2)
    size, border = (_WINDOW, _WINDOW), cv2.BORDER_CONSTANT
    return filter_planes(values, values.shape[2:], lambda plane, out: cv2.blur(plane, size, dst=out, borderType=border))
