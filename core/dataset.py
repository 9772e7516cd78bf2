"""Images with ground truth, addressed by sample index."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from .task import Task

Advance = Callable[[int], None]
"""Told how many more images are ready, so that a long preparation can show its progress."""


def _silent(images: int) -> None:
    pass


class Dataset(Protocol):
    """Implemented by `foolbench.datasets`. Images are float32 (N, C, H, W) in [0, 1], on the CPU."""

    name: str
    task: Task
    shape: tuple[int, int, int]

    @property
    def fingerprint(self) -> str:
        """Hash of the evaluation images and targets: equal exactly where the data are."""
        ...

    def __len__(self) -> int:
        """Number of evaluation samples."""
        ...

    def load(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images and targets of the evaluation samples start..stop-1."""
        ...

    def training(self, count: int, advance: Advance = _silent) -> tuple[Tensor, Tensor]:
        """The first `count` training images, uint8 (N, C, H, W), and their targets: all where there are fewer.

        They are disjoint from the evaluation samples.
        """
        ...
