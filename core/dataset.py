"""The interface of data sets: images with ground truth, addressed by sample index."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from .errors import ConfigError
from .task import Task

Advance = Callable[[int], None]
"""A callback that gets the number of images that are newly ready, to show the progress of a long preparation."""


def _silent(images: int) -> None:
    pass


class Dataset(Protocol):
    """The interface of a data set, implemented by `foolbench.datasets`.

    Images are float32 (N, C, H, W) in [0, 1], on the CPU.
    """

    name: str

    @property
    def task(self) -> Task:
        """The task that defines the targets."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of every image."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the evaluation images and targets: equal exactly if these are."""
        ...

    @property
    def labels(self) -> Tensor | None:
        """The class of every evaluation sample, int64, for drawing a balanced sample; None without classes."""
        ...

    def __len__(self) -> int:
        """Return the number of evaluation samples."""
        ...

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Return the images of these samples and their targets, None without any; the same at every call."""
        ...

    def training(self, count: int, advance: Advance = _silent) -> tuple[Tensor, Tensor | None]:
        """Return the first `count` training images, uint8 (N, C, H, W), and their targets; all if there are fewer.

        They are disjoint from the evaluation samples.
        """
        ...


@runtime_checkable
class Clustered(Protocol):
    """An optional interface of data sets some of whose images depend on each other, as crops of one photograph do."""

    def clusters(self, samples: Sequence[int]) -> Sequence[int] | None:
        """Return the group number of each of these evaluation samples; None if all are independent."""
        ...


@runtime_checkable
class FullSize(Protocol):
    """An optional interface of data sets whose ground truth maps have a size of their own, at which they are scored."""

    def truths(self, samples: Sequence[int]) -> Sequence[Tensor] | None:
        """Return, for each evaluation sample, the map (height, width) of what its image shows, in the truth's pixels.

        The sizes may differ; predictions are resized to them. None if all maps are those that `load` gives.
        """
        ...


def truths_of(dataset: Dataset, samples: Sequence[int]) -> Sequence[Tensor] | None:
    """Return the maps at their own size that predictions for these samples are scored against; None without any."""
    return dataset.truths(samples) if isinstance(dataset, FullSize) else None


def clusters_of(dataset: Dataset, samples: Sequence[int]) -> tuple[int, ...] | None:
    """Return the group number of each sample, None if the data set has no groups.

    Raises ConfigError unless there is one whole number for each sample.
    """
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
