"""OpenCV's filters on the CPU, where no gradient is wanted: the transforms themselves are written in torch."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor


def suits(x: Tensor) -> bool:
    """Whether OpenCV can take the images where they lie, and nobody differentiates what it makes of them."""
    wanted = x.requires_grad and torch.is_grad_enabled()
    return x.device.type == "cpu" and x.dtype == torch.float32 and not wanted


def filter_planes(x: Tensor, size: Sequence[int], function: Callable[[np.ndarray, np.ndarray], object]) -> Tensor:
    """`function(plane, out)` for every channel of the images (N, C, H, W), into one of `size` (height, width)."""
    result = x.new_empty(*x.shape[:2], *size)
    for image, filtered in zip(x.detach().numpy(), result.numpy(), strict=True):
        for plane, out in zip(image, filtered, strict=True):
            function(plane, out)
    return result
