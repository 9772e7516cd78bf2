"""How long steps of one process are told to another one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

EVERY = 0.5
"""Seconds between two words on the same step."""


class Told(NamedTuple):
    """How far a step has come."""

    what: str
    done: float
    total: float
    unit: str


class Telling:
    """Steps that `send` what is to be shown."""

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
