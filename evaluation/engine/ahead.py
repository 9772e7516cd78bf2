"""Work that is done while its predecessor's result is used: the next images are decoded while the network runs."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Each item with its result. One result at most waits for its turn, so memory stays flat."""
    with ThreadPoolExecutor(1) as pool:
        before = None
        for item in items:
            following = item, pool.submit(work, item)
            if before is not None:
                yield before[0], before[1].result()
            before = following
        if before is not None:
            yield before[0], before[1].result()
