"""Scikit-learn's handwritten digits: 1,797 real grey images of 8 x 8 pixels, for runs that take seconds."""

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ..core.dataset import Advance
from ..core.registry import register_dataset
from ..tasks.recognition import Recognition

EVALUATION = 512


@register_dataset("digits")
class Digits:
    """Recognition of ten handwritten digits: grey images of 8 x 8 pixels from scikit-learn.

    The last 512 images are the evaluation split, the other 1,285 the training split.
    """

    name = "digits"
    task = Recognition(classes=10)
    shape = (1, 8, 8)

    @property
    def fingerprint(self) -> str:
        images, labels = (part[-EVALUATION:] for part in _all())
        return hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        return EVALUATION

    @property
    def labels(self) -> Tensor:
        return _all()[1][-EVALUATION:]

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        images, labels = (part[-EVALUATION:][list(samples)] for part in _all())
        return images.float() / 255, labels

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor]:
        images, labels = (part[:-EVALUATION] for part in _all())
        images, labels = images[:count], labels[:count]
        advance(len(images))
        return images, labels


@cache
def _all() -> tuple[Tensor, Tensor]:
    """Return the uint8 images (1797, 1, 8, 8) and int64 labels, cached because reading the text file is slow."""
    from sklearn.datasets import load_digits

    rows, labels = load_digits(return_X_y=True)
    levels = torch.from_numpy(np.asarray(rows)).reshape(-1, *Digits.shape)  # 0..16
    return (levels * 255 / 16).round().to(torch.uint8), torch.from_numpy(np.asarray(labels)).long()
