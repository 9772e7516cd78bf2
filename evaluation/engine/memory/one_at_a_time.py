"""A data set that is also read ahead: nobody reads it while another thread does."""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor

from ....core.dataset import Advance, Dataset
from .prefetch import Prefetcher


class OneAtATime:
    """As the data set, but its images are loaded by `coming`, and training images once nothing is done there."""

    def __init__(self, dataset: Dataset, coming: Prefetcher) -> None:
        self._dataset, self._coming = dataset, coming

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return len(self._dataset)

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        return self._coming.result(self._dataset.load, tuple(samples))

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor | None]:
        """In the caller's thread, who may break it off: it can take minutes."""
        self._coming.wait()
        return self._dataset.training(count, advance)


def one_at_a_time(dataset: Dataset, coming: Prefetcher) -> Dataset:
    return cast(Dataset, OneAtATime(dataset, coming))


def itself(dataset: Dataset) -> Dataset:
    """Where its class is asked for."""
    return dataset._dataset if isinstance(dataset, OneAtATime) else dataset
