"""From a picture of any size to the image that a network takes."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.errors import ConfigError
from ...core.preprocess import Preprocess

INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest", "box", "hamming")
LONGEST = 8
"""Sides longer than that many shorter ones are cut before resizing: only the middle is kept, and memory is finite."""


def fit(picture: Image.Image, preprocess: Preprocess) -> Tensor:
    """uint8 (3, H, W): resized and cut as torchvision's Resize and CenterCrop do it."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize

    if preprocess.interpolation not in INTERPOLATIONS:
        known = ", ".join(INTERPOLATIONS)
        raise ConfigError(f"Expected an interpolation of {known}, got {preprocess.interpolation!r}.")
    mode = InterpolationMode(preprocess.interpolation)
    if preprocess.crop == "squash":
        picture = resize(picture, list(preprocess.size), mode)  # pyright: ignore[reportArgumentType,reportAssignmentType]
    elif preprocess.resize is not None:
        picture = resize(_middle(picture), preprocess.resize, mode)  # pyright: ignore
    cut: Image.Image = center_crop(picture, list(preprocess.size))  # pyright: ignore
    return torch.from_numpy(np.array(cut)).permute(2, 0, 1)


def _middle(picture: Image.Image) -> Image.Image:
    most = LONGEST * min(picture.size)
    width, height = (min(side, most) for side in picture.size)
    if (width, height) == picture.size:
        return picture
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
