"""Work ahead in the background: the next images are decoded while the network processes the current ones.

All calls run in one thread, because a third-party data set may not be thread-safe (`one_at_a_time.py`).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Prefetcher:
    """Runs at most one call ahead, in a thread of its own, so that memory use stays flat."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._begun: tuple[Callable[..., Any], Any, Future[Any]] | None = None

    def begin(self, work: Callable[[T], R], item: T) -> None:
        """Start the call `work(item)`, whose result will be requested, and drop another one that was started."""
        if not self._is(work, item):
            self.close()
            self._begun = work, item, self._pool.submit(work, item)

    def result(self, work: Callable[[T], R], item: T) -> R:
        """Return the result of `work(item)`: of the call started before, or of a new one after that has ended."""
        if self._begun is None or not self._is(work, item):
            return self._pool.submit(work, item).result()
        _, _, future = self._begun
        self._begun = None
        return future.result()

    def wait(self) -> None:
        """Wait until no call runs any more, not even a dropped one."""
        self._pool.submit(bool).result()

    def close(self) -> None:
        """Drop the call that was started, if any; if it runs already, it runs to its end."""
        if self._begun is not None:
            self._begun[2].cancel()
            self._begun = None

    def _is(self, work: Callable[..., Any], item: Any) -> bool:
        return self._begun is not None and self._begun[:2] == (work, item)
