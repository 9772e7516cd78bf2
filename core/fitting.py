"""Resizing and cropping: from a picture of any size to the image that a network takes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .errors import ConfigError
from .preprocess import Preprocess

INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest", "box", "hamming")
LONGEST = 8
"""The largest ratio of a picture's sides: a longer one is cut to its middle before resizing, as memory is finite."""


def fit(picture: Image.Image, preprocess: Preprocess) -> Tensor:
    """Return a picture as an image, uint8 (3, H, W), resized and cropped as torchvision's Resize and CenterCrop do.

    If it is resized at all, it becomes as large as the image needs on both sides. Raises ConfigError for an unknown
    interpolation.
    """
    if preprocess.interpolation not in INTERPOLATIONS:
        known = ", ".join(INTERPOLATIONS)
        raise ConfigError(f"Expected an interpolation of {known}, got {preprocess.interpolation!r}.")
    return torch.from_numpy(np.array(_placed(picture, preprocess, preprocess.interpolation))).permute(2, 0, 1)


def fit_map(values: NDArray[Any], preprocess: Preprocess, *, void: int = 0) -> Tensor:
    """Return a map (H, W) of a picture's pixels, uint8 or float32, fitted like the picture, without interpolation.

    `void` fills the image where the picture ends before it.
    """
    return _placed_map(values, lambda picture: _placed(picture, preprocess, "nearest"), void)


def shown_of_map(values: NDArray[Any], preprocess: Preprocess, *, void: int = 0) -> Tensor:
    """Return the part of a map (H, W) of a picture's pixels that the image shows, in those pixels: it is not resized.

    `void` fills it where the picture ends before the image.
    """
    from torchvision.transforms.functional import center_crop

    if preprocess.crop != "squash" and preprocess.resize is None:
        return _placed_map(values, lambda picture: center_crop(picture, list(preprocess.size)), void)  # pyright: ignore
    squashed = preprocess.crop == "squash"
    kept = [side if squashed else min(side, LONGEST * min(values.shape)) for side in values.shape]
    fitted = preprocess.squashed if squashed else _resized_to((kept[0], kept[1]), preprocess)
    rows, columns = (_shown(*sides) for sides in zip(values.shape, kept, fitted, preprocess.size, strict=True))
    return torch.from_numpy(values[rows, columns].copy())


def _shown(side: int, kept: int, fitted: int, size: int) -> slice:
    """Return the pixels of a side that the image shows, of which the middle `kept` are resized to `fitted` and cut."""
    first = round((fitted - size) / 2)  # where torchvision's CenterCrop begins
    ends = (math.ceil(at * kept / fitted - 0.5) for at in (first, first + size))
    start, stop = (end + (side - kept) // 2 for end in ends)
    return slice(start, max(stop, start + 1))


def _placed_map(values: NDArray[Any], place: Callable[[Image.Image], Image.Image], void: int) -> Tensor:
    shifted = Image.fromarray(values - values.dtype.type(void))  # pictures are padded with 0; bytes wrap around
    return torch.from_numpy(np.array(place(shifted)) + values.dtype.type(void))


def window(size: tuple[int, int], preprocess: Preprocess) -> tuple[float, float]:
    """Return the (height, width) of the part of a picture that its image shows, in units of its shorter side."""
    shorter = min(size)
    if preprocess.crop == "squash":
        shares = (cut / whole for cut, whole in zip(preprocess.size, preprocess.squashed, strict=True))
        height, width = (share * side / shorter for share, side in zip(shares, size, strict=True))
        return height, width
    scale = shorter if preprocess.resize is None else max(preprocess.resize, shorter * _covering(size, preprocess))
    return preprocess.size[0] / scale, preprocess.size[1] / scale


def _resized_to(size: tuple[int, int], preprocess: Preprocess) -> list[int]:
    """Return the (height, width) of a picture before the crop: torchvision's, where it covers the image."""
    shorter, edge = min(size), preprocess.resize or 0
    sides = [int(edge * side / shorter) for side in size]
    if all(side >= wanted for side, wanted in zip(sides, preprocess.size, strict=True)):
        return sides
    by = _covering(size, preprocess)
    return [max(round(side * by), wanted) for side, wanted in zip(size, preprocess.size, strict=True)]


def _covering(size: tuple[int, int], preprocess: Preprocess) -> float:
    """Return the least factor by which a picture of this size has to grow to cover the image."""
    return max(wanted / given for wanted, given in zip(preprocess.size, size, strict=True))


def _placed(picture: Image.Image, preprocess: Preprocess, interpolation: str) -> Image.Image:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize

    mode = InterpolationMode(interpolation)
    if preprocess.crop == "squash":
        picture = resize(picture, list(preprocess.squashed), mode)  # pyright: ignore[reportArgumentType,reportAssignmentType]
    elif preprocess.resize is not None:
        picture = _middle(picture)
        picture = resize(picture, _resized_to((picture.height, picture.width), preprocess), mode)  # pyright: ignore
    return center_crop(picture, list(preprocess.size))  # pyright: ignore


def _middle(picture: Image.Image) -> Image.Image:
    most = LONGEST * min(picture.size)
    width, height = (min(side, most) for side in picture.size)
    if (width, height) == picture.size:
        return picture
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
