"""The format of images, and its checks: float32, (N, C, H, W), every value in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .errors import ConfigError, InputError


def check_layout(x: Tensor, shape: tuple[int | None, ...] = (None, None, None)) -> None:
    """Raise InputError unless `x` is a float32 batch of images of the given (C, H, W), None meaning any."""
    if not isinstance(x, Tensor):
        raise InputError(f"Expected images as a torch tensor, got {type(x).__name__}; convert with torch.from_numpy.")
    if x.dtype != torch.float32:
        raise InputError(f"Expected float32 images in [0, 1], got {x.dtype}; for uint8 images use x.float() / 255.")
    wanted = ", ".join(name if n is None else str(n) for name, n in zip("CHW", shape, strict=True))
    fits = x.ndim == 4 and all(n in (None, m) for n, m in zip(shape, x.shape[1:], strict=True))
    if not fits:
        raise InputError(f"Expected images of shape (N, {wanted}), got {tuple(x.shape)}.")
    if x.numel() == 0:
        raise InputError(f"Expected at least one image, got an empty batch of shape {tuple(x.shape)}.")


def check_images(x: Tensor, shape: tuple[int | None, ...] = (None, None, None)) -> None:
    """Raise InputError unless `x` is a float32 batch of images in [0, 1] of the given (C, H, W), None meaning any."""
    check_layout(x, shape)
    low, high = torch.stack(torch.aminmax(x.detach())).tolist()  # together: one synchronisation with a GPU
    if low != low or high != high:
        raise InputError("Expected images in [0, 1], got NaN among the pixels.")
    if low < 0 or high > 1:
        remedy = "give raw pixels and declare the normalisation as mean= and std= of the Model"
        if low >= 0 and 2 <= high <= 255:
            remedy = "divide pixels of 0..255 by 255"
        raise InputError(f"Expected images in [0, 1], got values in [{low:.8g}, {high:.8g}]; {remedy}.")


def checked_shape(shape: Sequence[int | None]) -> tuple[int | None, int | None, int | None]:
    """Return an image shape (C, H, W) as a tuple, None meaning any. Raises ConfigError for anything else."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sizes) != 3 or not all(n is None or (isinstance(n, int) and n > 0) for n in sizes):
        raise ConfigError(f"Expected shape as (channels, height, width), None meaning any, got {shape}.")
    return sizes[0], sizes[1], sizes[2]
