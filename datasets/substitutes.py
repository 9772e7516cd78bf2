"""Substitute images for data-free attacks, which must not see the task's data: crops of photographs, and noise."""

from collections.abc import Sequence, Set
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from torch import Tensor

from .scenes.textures import PHOTOGRAPHS, photograph


@runtime_checkable
class ShowsPhotographs(Protocol):
    """Protocol of data sets whose evaluation images show photographs that substitute images are made from."""

    def photographs_shown(self) -> Set[str]:
        """Return the names of the photographs that the evaluation images show."""
        ...


def photographs_shown_by(dataset: object) -> Set[str]:
    return dataset.photographs_shown() if isinstance(dataset, ShowsPhotographs) else frozenset()


def substitute_images(
    count: int, shape: tuple[int, int, int], seed: int = 0, without: Set[str] = frozenset()
) -> Tensor:
    """Return float32 (count, C, H, W) in [0, 1]: three in four are photograph crops, the fourth is smooth or raw noise.

    The crops show photographs at random scales. `without` names the photographs to leave out because evaluation images
    show them.
    """
    rng = np.random.default_rng(seed)
    names = [name for name in PHOTOGRAPHS if name not in without]
    images = [
        _noise(rng, shape[1], shape[2]) if i % 4 == 3 else _photograph(rng, names, shape[1], shape[2])
        for i in range(count)
    ]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).clamp(0, 1)  # resizing may overshoot by rounding
    if shape[0] != 3:
        batch = batch.mean(dim=1, keepdim=True).expand(-1, shape[0], -1, -1)
    return batch.contiguous()


def _photograph(rng: np.random.Generator, names: Sequence[str], height: int, width: int) -> np.ndarray:
    image = photograph(str(rng.choice(names)))
    scale = rng.uniform(0.3, 1.0) * min(image.shape[0] / height, image.shape[1] / width)
    rows, columns = int(height * scale), int(width * scale)
    top, left = (int(rng.integers(0, n - m + 1)) for n, m in zip(image.shape, (rows, columns), strict=False))
    crop = cv2.resize(image[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_AREA)
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def _noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    noise = rng.normal(0, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.3, min(height, width) / 8)))
    return np.clip(0.5 + 0.2 * smooth / smooth.std(), 0, 1).astype(np.float32)
