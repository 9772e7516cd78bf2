"""Differentiable JPEG (Shin and Song 2017, https://machine-learning-and-security.github.io/papers/mlsec17_paper_54.pdf).

The steps of the codec in floating point, with a cubic approximation in place of rounding. As in libjpeg, colours follow
JFIF, the chroma planes are halved by averaging and doubled by linear interpolation, and images are padded to whole
blocks by repeating the edge pixel.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.straight_through import clamped

LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32,
)  # fmt: skip
"""The quantization tables of the standard (ITU-T T.81, annex K), row by row."""


def differentiable_jpeg(x: Tensor, quality: int, leak: float = 0.0) -> Tensor:
    """Approximate a JPEG round trip at `quality` 1..100 of images (N, 1 or 3, H, W) in [0, 1].

    `leak` is added to the slope of the cubic, which is 0 at whole numbers.
    """
    height, width = x.shape[2:]
    block = 8 if x.shape[1] == 1 else 16  # 16, so that the halved chroma planes consist of whole blocks, too
    pixels = F.pad(255 * x, (0, -width % block, 0, -height % block), mode="replicate")
    if x.shape[1] == 1:
        decoded = _quantized(pixels, scaled(LUMA, quality), leak)
    else:
        luma, chroma = _to_ycc(pixels).split((1, 2), dim=1)
        luma = _quantized(luma, scaled(LUMA, quality), leak)
        chroma = _quantized(F.avg_pool2d(chroma, 2), scaled(CHROMA, quality), leak)
        decoded = _to_rgb(torch.cat([luma, F.interpolate(chroma, scale_factor=2, mode="bilinear")], dim=1))
    return clamped(decoded[:, :, :height, :width] / 255)


def scaled(table: tuple[int, ...], quality: int) -> tuple[int, ...]:
    """Scale a quantization table to a quality, by libjpeg's rule."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((entry * percent + 50) // 100, 1), 255) for entry in table)


def _quantized(planes: Tensor, table: tuple[int, ...], leak: float) -> Tensor:
    """Quantize each block of 8 x 8 pixels in the frequency domain, and transform it back."""
    count, channels, height, width = planes.shape
    blocks = (planes - 128).unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (N, C, rows, columns, 8, 8)
    basis, steps = _constants(table, planes.dtype, planes.device)
    frequencies = _soft_round(blocks.flatten(4) @ basis.T / steps, leak) * steps
    restored = (frequencies @ basis).unflatten(4, (8, 8)).transpose(3, 4)
    return restored.reshape(count, channels, height, width) + 128


def _soft_round(x: Tensor, leak: float) -> Tensor:
    """Round, and add r^3 + leak * r of the rest r: the slope is between `leak` and `leak` + 3/4."""
    whole = x.detach().round()
    return whole + (x - whole) ** 3 + leak * (x - whole)


@cache
def _constants(table: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the DCT basis and the table as tensors, copied to each device once."""
    with torch.inference_mode(False):  # else a first call in that mode would cache tensors that autograd rejects
        return torch.tensor(_basis(), dtype=dtype, device=device), torch.tensor(table, dtype=dtype, device=device)


def _basis() -> list[list[float]]:
    """Return the orthonormal DCT of a flattened 8 x 8 block as a matrix with one frequency per row."""
    line = [
        [math.sqrt((2 if k else 1) / 8) * math.cos((2 * i + 1) * k * math.pi / 16) for i in range(8)] for k in range(8)
    ]
    return [[a * b for a in down for b in across] for down in line for across in line]


def _to_ycc(rgb: Tensor) -> Tensor:
    red, green, blue = rgb.split(1, dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.cat([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402], dim=1)


def _to_rgb(ycc: Tensor) -> Tensor:
    luma, blueness, redness = ycc.split(1, dim=1)
    red, blue = luma + 1.402 * (redness - 128), luma + 1.772 * (blueness - 128)
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return torch.cat([red, green, blue], dim=1)
