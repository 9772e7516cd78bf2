"""Pack adversarial images as their differences from the clean ones, compressed without loss by Zstandard.

Unpacking has two steps. The longer one, decompression, needs no clean images, so it can be done before they are loaded.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

LEVEL = 1
"""The compression level. Higher ones take longer and save hardly any space: what remains of floats is noise."""


class Packed(NamedTuple):
    """Compressed differences: `data`, uint8 (B,), and the bytes per value in it, `planes`.

    There is 1 byte for 8-bit images, and 4 for float images, or 8 if rounding errors had to be kept as well.
    """

    data: Tensor
    planes: int


def packed(images: Tensor, clean: Tensor) -> Packed:
    """Pack images (N, C, H, W), float32 or uint8, with the clean ones, float32 of the same shape."""
    x = clean.cpu().contiguous()
    near = images.cpu().contiguous()
    if near.dtype == torch.uint8:
        parts = [(near - _levels(x)).numpy().reshape(1, -1)]
    else:
        change = near - x
        rounded = _bits(near) - _bits(x + change)
        parts = [_planes(_bits(change)), *([_planes(rounded)] if rounded.any() else [])]
    whole = b"".join(part.tobytes() for part in parts)
    data = torch.frombuffer(bytearray(zstandard.ZstdCompressor(LEVEL).compress(whole)), dtype=torch.uint8)
    return Packed(data, sum(map(len, parts)))


def decompressed(found: Packed) -> Tensor:
    """Return the differences (1 or 2, N * C * H * W): uint8 for 8-bit images, int32 for float images.

    Raises ValueError for damaged data.
    """
    if found.planes not in (1, 4, 8):
        raise ValueError(f"expected 1, 4 or 8 planes, got {found.planes}")
    try:
        whole = zstandard.ZstdDecompressor().decompress(found.data.numpy().data)
    except (zstandard.ZstdError, MemoryError) as error:
        raise ValueError(str(error)) from None
    content = np.frombuffer(whole, dtype=np.uint8).reshape(found.planes, -1)
    return torch.from_numpy(content.copy() if found.planes == 1 else _numbers(content))


def unpacked(differences: Tensor, clean: Tensor) -> Tensor:
    """Return the adversarial images, on the CPU. Raises ValueError if `clean` has another number of values."""
    x = clean.cpu().contiguous()
    if differences.shape[1] != x.numel():
        raise ValueError(f"expected differences of {x.numel()} numbers, got {differences.shape[1]}")
    change, *rounded = (part.reshape(x.shape) for part in differences)
    if differences.dtype == torch.uint8:
        return change + _levels(x)
    near = x + change.view(torch.float32)
    return (near.view(torch.int32) + rounded[0]).view(torch.float32) if rounded else near


def _levels(x: Tensor) -> Tensor:
    return (255 * x).round().to(torch.uint8)


def _bits(x: Tensor) -> NDArray[np.int32]:
    return x.numpy().view(np.int32)


def _planes(numbers: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the first bytes of all numbers, then the second ones, and so on: grouped bytes compress better."""
    return np.ascontiguousarray(numbers.reshape(-1).view(np.uint8).reshape(-1, 4).T)


def _numbers(planes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the numbers whose bytes are the planes, a row for every four planes."""
    together = np.empty((len(planes) // 4, planes.shape[1], 4), dtype=np.uint8)
    for number, its in zip(together, planes.reshape(-1, 4, 1, planes.shape[1]), strict=True):
        cv2.merge(list(its), number[None])  # NumPy takes at least seven times as long
    return together.view(np.int32)[..., 0]
