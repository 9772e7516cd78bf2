"""The cache of a run, for workers that cannot see its folder: they ask for entries by name, and send what they make.

Only a worker knows these names: what its own network answers to the last bit, on its own device, is a part of them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from ..cache.cache import Cache

PATIENCE = 60.0
"""Seconds that a worker waits for an answer. Without one, as where a connection was lost, it makes the entry itself."""


class Asked(NamedTuple):
    """A request for the content of a cache entry; the run answers it also where there is none."""

    name: str


class Made(NamedTuple):
    """A cache entry that a worker has made."""

    name: str
    content: bytes


@dataclass(eq=False, kw_only=True)
class BorrowedCache(Cache):
    """The cache of a run elsewhere: requests and new entries go through `send`, answers come through `answer`.

    Nothing is read from its `folder`, nor written there. What comes is checked as what is read from a disk is.
    """

    send: Callable[[Asked | Made], None]
    _waiting: dict[str, Future[bytes | None]] = field(default_factory=dict, init=False)

    def content(self, name: str) -> bytes | None:
        """Ask for the content of an entry, and wait for the answer; None if there is no such entry or no answer."""
        found = self._waiting.setdefault(name, Future())  # also of another thread that waits for the same
        self.send(Asked(name))
        try:
            return found.result(PATIENCE)
        except TimeoutError:
            self._waiting.pop(name, None)
            return None

    def answer(self, name: str, content: bytes | None) -> None:
        """Hand an answer to who waits for it. One that comes too late is dropped."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.set_result(content)

    def take(self, name: str, content: bytes) -> None:
        """Send the content of an entry's file, which keeps to the limit where it arrives."""
        self.send(Made(name, content))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Do nothing: a run hands out each entry once, and two runs at once may make the same one."""
        yield
