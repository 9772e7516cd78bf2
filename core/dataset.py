"""Images with ground truth, addressed by sample index."""

from collections.abc import Callable, Sequence
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

    @property
    def task(self) -> Task:
        """What targets mean."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the evaluation images and targets: equal exactly where the data are."""
        ...

    @property
    def labels(self) -> Tensor | None:
        """The class of every evaluation sample, int64, by which a sample of them is balanced; None without classes."""
        ...

    def __len__(self) -> int:
        """Number of evaluation samples."""
        ...

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Images of these evaluation samples and their targets, None without any; the same at every call."""
        ...

    def training(self, count: int, advance: Advance = _silent) -> tuple[Tensor, Tensor | None]:
        """The first `count` training images, uint8 (N, C, H, W), and their targets: all where there are fewer.

        They are disjoint from the evaluation samples.
        """
        ...
