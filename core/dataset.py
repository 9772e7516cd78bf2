"""Images with ground truth, addressed by sample index."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from .errors import ConfigError
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


@runtime_checkable
class Clustered(Protocol):
    """A data set some of whose images depend on each other, as crops of one photograph do, may implement it as well."""

    def clusters(self, samples: Sequence[int]) -> Sequence[int] | None:
        """The number of the group that each of these evaluation samples is of; None where each stands alone."""
        ...


def clusters_of(dataset: Dataset, samples: Sequence[int]) -> tuple[int, ...] | None:
    """What a data set says about these samples. Raises ConfigError where it is not one whole number for each."""
    found = dataset.clusters(samples) if isinstance(dataset, Clustered) else None
    if found is None:
        return None
    numbers = tuple(found)
    if len(numbers) != len(samples) or not all(isinstance(number, int) for number in numbers):
        raise ConfigError(
            f"Expected clusters of data set {dataset.name} as {len(samples)} whole numbers for as many samples, got "
            f"{len(numbers)}: {numbers[:3]}..."
        )
    return numbers
