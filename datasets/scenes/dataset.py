"""The embedded benchmark: 1,020 evaluation scenes that ship with it, and a training split rendered on demand."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...core.dataset import Advance
from ...core.registry import register_dataset
from ...tasks.recognition import Recognition
from .composition import CLASSES
from .sheets import EVALUATION, read_sheets
from .splits import SIZE, Shard, fingerprint, rendered


@register_dataset("scenes")
class Scenes:
    """Recognition of the largest solid and of its material: 30 classes, RGB images of 128 x 128 pixels."""

    name = "scenes"
    task = Recognition(classes=len(CLASSES))
    shape = (3, SIZE, SIZE)

    @property
    def scenes(self) -> Shard:
        """The evaluation split with all three ground truths."""
        return _evaluation()

    @property
    def fingerprint(self) -> str:
        return _fingerprint()

    def __len__(self) -> int:
        return len(self.scenes.labels)

    @property
    def labels(self) -> Tensor:
        return torch.from_numpy(self.scenes.labels)

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = list(samples)
        return _channels_first(self.scenes.images[chosen]).float() / 255, self.labels[chosen]

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor]:
        shard = rendered("train", count, advance=advance)
        return _channels_first(shard.images), torch.from_numpy(shard.labels)


@cache
def _evaluation() -> Shard:
    """Once a process: to decode it takes a second."""
    return read_sheets(EVALUATION)


@cache
def _fingerprint() -> str:
    return fingerprint(_evaluation())


def _channels_first(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
