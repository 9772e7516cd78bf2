"""Report the progress of a process's long steps to another process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

EVERY = 0.5
"""The least time, in seconds, between two reports on one step."""


class Told(NamedTuple):
    """A progress report: the title of a step, and how many of its `total` units are done."""

    what: str
    done: float
    total: float
    unit: str


class Telling:
    """Steps whose progress is reported through `send`, rather than shown here."""

    def __init__(self, send: Callable[[Told], None]) -> None:
        self._send = send

    @contextmanager
    def step(self, what: str, total: int, unit: str) -> Iterator["_Bar"]:
        yield _Bar(self._send, Told(what, 0, total, unit))


class _Bar:
    def __init__(self, send: Callable[[Told], None], told: Told) -> None:
        self._send, self._told, self._last = send, told, 0.0

    def advance(self, amount: int) -> None:
        self.at(int(self._told.done) + amount, int(self._told.total), self._told.unit)

    def at(self, done: int, total: int, unit: str) -> None:
        self._told = self._told._replace(done=done, total=total, unit=unit)
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._send(self._told)
            self._last = now
