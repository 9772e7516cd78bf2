"""Convert images from user code, as PIL pictures, arrays or tensors, to tensors, and back to pictures."""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ...core.errors import InputError
from ...core.fitting import fit
from ...core.images import check_images
from ...core.preprocess import Preprocess
from .reading import opaque, to_rgb


def as_image(given: Any) -> Tensor:
    """Return an image as a tensor (C, H, W), uint8 or float32 in [0, 1]; raises InputError for anything else.

    A PIL picture is turned upright; arrays and tensors may have channels first, last or none.
    """
    if isinstance(given, Image.Image):
        upright = ImageOps.exif_transpose(given)
        levels = np.array(upright if upright.mode == "L" else to_rgb(upright))
        return torch.from_numpy(levels).reshape(*levels.shape[:2], -1).permute(2, 0, 1).contiguous()
    image = _tensor(given) if isinstance(given, np.ndarray) else given
    if not isinstance(image, Tensor) or image.ndim not in (2, 3):
        raise InputError(f"Expected an image as PIL, array or tensor of 2 or 3 dimensions, got {_what(given)}.")
    if image.ndim == 2:
        image = image[None]
    if image.shape[0] not in (1, 3) and image.shape[2] in (1, 3):
        image = image.permute(2, 0, 1)
    if image.shape[0] not in (1, 3):
        raise InputError(f"Expected an image of 1 or 3 channels, first or last, got {_what(given)}.")
    image = image.detach().cpu().contiguous()
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise InputError(f"Expected uint8 pixels or floats in [0, 1], got {image.dtype}.")
    check_images(image.float()[None])
    return image.float()


def as_known(given: Any, image: Tensor) -> Image.Image:
    """Return the RGB picture to hash an image by, so that it is equal to that of a file with the same content."""
    return opaque(ImageOps.exif_transpose(given)) if isinstance(given, Image.Image) else as_picture(image)


def resized(image: Tensor, preprocess: Preprocess) -> Tensor:
    """Fit an image (C, H, W) through an eight-bit picture, as files are; returns uint8."""
    return fit(as_picture(image), preprocess)[: len(image)]


def as_picture(image: Tensor) -> Image.Image:
    """Convert an image (C, H, W), uint8 or float32 in [0, 1], to an eight-bit RGB picture."""
    levels = image if image.dtype == torch.uint8 else (image * 255).round().to(torch.uint8)
    pixels = levels.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels).convert("RGB")


def _tensor(given: np.ndarray) -> Tensor:
    """Convert an array to a tensor, in this machine's byte order; raises InputError unless it holds numbers."""
    try:
        return torch.from_numpy(given.astype(given.dtype.newbyteorder("=")))
    except TypeError:
        raise InputError(f"Expected an image as an array of numbers, got one of {given.dtype}.") from None


def _what(given: Any) -> str:
    shape = getattr(given, "shape", None)
    return type(given).__name__ if shape is None else f"{type(given).__name__} of shape {tuple(shape)}"
