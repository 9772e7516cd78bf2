"""Work that is done while its predecessor's result is used: the next images are decoded while the network runs.

All of it is done in one thread: a stranger's data set may not be safe in several (`one_at_a_time.py`).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Prefetcher:
    """One call at most is done ahead, so memory stays flat."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._begun: tuple[Callable[..., Any], Any, Future[Any]] | None = None

    def begin(self, work: Callable[[T], R], item: T) -> None:
        """It will be asked for; nothing else is waited for."""
        if not self._is(work, item):
            self.close()
            self._begun = work, item, self._pool.submit(work, item)

    def result(self, work: Callable[[T], R], item: T) -> R:
        """Begun before, or done now, after what was begun instead."""
        if self._begun is None or not self._is(work, item):
            return self._pool.submit(work, item).result()
        _, _, future = self._begun
        self._begun = None
        return future.result()

    def wait(self) -> None:
        """Until nothing is done ahead, also of what is asked for no more."""
        self._pool.submit(bool).result()

    def close(self) -> None:
        """What was begun is asked for no more."""
        if self._begun is not None:
            self._begun[2].cancel()
            self._begun = None

    def _is(self, work: Callable[..., Any], item: Any) -> bool:
        return self._begun is not None and self._begun[:2] == (work, item)
