"""Transforms of colours: fewer levels, shifted colours, and grey."""

import cv2
import numpy as np
import torch
from torch import Tensor

from ...core.seeding import Draws
from ...core.straight_through import with_gradient_of, without_rounding
from .luck import one_of

_SPACES = {  # conversion, its inverse, and the largest shift of each channel in OpenCV's units
    "hsv": (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, (18.0, 0.25, 0.25)),
    "xyz": (cv2.COLOR_RGB2XYZ, cv2.COLOR_XYZ2RGB, (0.05, 0.05, 0.05)),
    "lab": (cv2.COLOR_RGB2Lab, cv2.COLOR_Lab2RGB, (5.0, 2.0, 2.0)),
    "yuv": (cv2.COLOR_RGB2YUV, cv2.COLOR_YUV2RGB, (0.05, 0.02, 0.02)),
}
_LUMINANCE = (0.2125, 0.7154, 0.0721)


def fewer_levels(x: Tensor, luck: Draws) -> Tensor:
    """Round to 8 to 200 levels, either one number for all channels or one per channel; the gradient is the identity."""
    channels = one_of(luck, (1, x.shape[1]))
    steps = luck.uniform((channels, 1, 1), 8, 201).floor() - 1
    return with_gradient_of(x, (x.detach() * steps).round() / steps)


def other_colours(x: Tensor, luck: Draws) -> Tensor:
    """Shift each channel in HSV, XYZ, LAB or YUV by a random number; other than three channels stay as they are."""
    there, back, reach = _SPACES[one_of(luck, tuple(_SPACES))]
    moves = luck.uniform((3,), -1, 1)[0].cpu().numpy() * np.array(reach, dtype=np.float32)
    if x.shape[1] != 3:
        return x
    pixels = np.ascontiguousarray(x.detach()[0].permute(1, 2, 0).cpu().numpy())
    moved = cv2.cvtColor(pixels, there) + moves.astype(np.float32)
    if there == cv2.COLOR_RGB2HSV:
        moved[..., 0] %= 360
        moved[..., 1:] = moved[..., 1:].clip(0, 1)
    found = torch.from_numpy(np.asarray(cv2.cvtColor(moved, back))).to(x.device).permute(2, 0, 1)[None]
    return with_gradient_of(x, found.nan_to_num(0).clamp(0, 1))


def grey(x: Tensor, luck: Draws) -> Tensor:
    """Replace all channels by their luminance, their mean, one of them, or a mean with random weights."""
    channels = x.shape[1]
    kinds = {
        "luminance": torch.tensor(_LUMINANCE if channels == 3 else (1 / channels,) * channels),
        "mean": torch.full((channels,), 1 / channels),
        "one": torch.nn.functional.one_hot(luck.integers(channels)[0].cpu(), channels).float(),
        "random": luck.uniform((channels,), 0.05, 1)[0].cpu(),
    }
    weights = kinds[one_of(luck, tuple(kinds))].to(x)
    mixed = torch.einsum("nchw,c->nhw", x, weights / weights.sum())
    return without_rounding(mixed[:, None].expand_as(x))
