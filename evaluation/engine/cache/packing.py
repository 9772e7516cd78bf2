"""Adversarial images as what they differ in from the clean ones, compressed without loss by Zstandard."""

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

LEVEL = 1
"""Of compression. Higher ones take longer, and hardly less room: what is left of floats is noise."""


def packed(images: Tensor, clean: Tensor) -> Tensor:
    """Bytes (B,), uint8, of images (N, C, H, W), float32 or uint8, around clean ones, float32 of the same shape."""
    x = clean.cpu().contiguous()
    near = images.cpu().contiguous()
    if near.dtype == torch.uint8:
        parts = [(near - _levels(x)).numpy()]
    else:
        change = near - x
        rounded = _bits(near) - _bits(x + change)
        parts = [_planes(_bits(change)), *([_planes(rounded)] if rounded.any() else [])]
    whole = b"".join(part.tobytes() for part in parts)
    return torch.frombuffer(bytearray(zstandard.ZstdCompressor(LEVEL).compress(whole)), dtype=torch.uint8)


def unpacked(data: Tensor, clean: Tensor, dtype: torch.dtype) -> Tensor:
    """The images, on the CPU. Raises ValueError for bytes of other images."""
    x = clean.cpu().contiguous()
    expected = [x.numel()] if dtype == torch.uint8 else [4 * x.numel(), 8 * x.numel()]
    try:
        whole = zstandard.ZstdDecompressor().decompress(data.numpy().tobytes(), max_output_size=expected[-1])
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if len(whole) not in expected:
        raise ValueError(f"expected {' or '.join(map(str, expected))} bytes, got {len(whole)}")
    content = np.frombuffer(whole, dtype=np.uint8)
    if dtype == torch.uint8:
        return torch.from_numpy(content.reshape(x.shape).copy()) + _levels(x)
    change, *rounded = (_numbers(part).reshape(x.shape) for part in content.reshape(-1, 4, x.numel()))
    near = x + torch.from_numpy(change.view(np.float32))
    return torch.from_numpy((_bits(near) + rounded[0]).view(np.float32)) if rounded else near


def _levels(x: Tensor) -> Tensor:
    return (255 * x).round().to(torch.uint8)


def _bits(x: Tensor) -> NDArray[np.int32]:
    return x.numpy().view(np.int32)


def _planes(numbers: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The first bytes of all numbers, then the second ones: equal bytes lie together."""
    return np.ascontiguousarray(numbers.reshape(-1).view(np.uint8).reshape(-1, 4).T)


def _numbers(planes: NDArray[np.uint8]) -> NDArray[np.int32]:
    together = np.empty((planes.shape[1], 4), dtype=np.uint8)
    for place, plane in enumerate(planes):  # NumPy's own transposition takes five times as long
        together[:, place] = plane
    return together.reshape(-1).view(np.int32)
