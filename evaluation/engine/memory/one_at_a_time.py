"""A data set that is read ahead in another thread, but never by two threads at the same time."""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor

from ....core.dataset import Advance, Dataset, truths_of
from .prefetch import Prefetcher


class OneAtATime:
    """A data set whose images are loaded in the thread of `coming`, and training images while that thread is idle."""

    def __init__(self, dataset: Dataset, coming: Prefetcher) -> None:
        self._dataset, self._coming = dataset, coming

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return len(self._dataset)

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        return self._coming.result(self._dataset.load, tuple(samples))

    def truths(self, samples: Sequence[int]) -> Sequence[Tensor] | None:
        """Load the truths in their own size, if there are any, while the thread is idle."""
        self._coming.wait()
        return truths_of(self._dataset, samples)

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor | None]:
        """Load training images in the caller's thread, so that Ctrl-C can stop it: it can take minutes."""
        self._coming.wait()
        return self._dataset.training(count, advance)


def one_at_a_time(dataset: Dataset, coming: Prefetcher) -> Dataset:
    """Wrap a data set so that `coming` can read it ahead."""
    return cast(Dataset, OneAtATime(dataset, coming))


def itself(dataset: Dataset) -> Dataset:
    """Return the data set without the wrapper, for callers that need its class."""
    return dataset._dataset if isinstance(dataset, OneAtATime) else dataset
