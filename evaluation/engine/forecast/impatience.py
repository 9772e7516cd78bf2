"""A search is broken off when it has shown what the rest of it will take."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ....core.passes import Passes
from ...ledger.ledger import Costs
from ..progress import Bar, Steps

OFTEN = 0.005
"""Seconds between two looks at whether an iteration has begun."""


class Enough(BaseException):  # beyond all that is caught of attacks
    """So much of a search is done."""

    def __init__(self, share: float) -> None:
        self.share = share


class Impatience:
    """Steps that raise Enough from the first word on how far a search is that comes `after` some seconds."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._until: float | None = None

    @contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        self._until = time.perf_counter() + seconds
        try:
            yield
        finally:
            self._until = None

    @contextmanager
    def step(self, what: str, total: int, unit: str) -> Iterator["_Bar"]:
        with self._steps.step(what, total, unit) as bar:
            yield _Bar(bar, self._until)


class _Bar:
    def __init__(self, bar: Bar, until: float | None) -> None:
        self._bar, self._until = bar, until

    def advance(self, amount: int) -> None:
        self._bar.advance(amount)

    def at(self, done: int, total: int, unit: str) -> None:
        self._bar.at(done, total, unit)
        if self._until is not None and time.perf_counter() > self._until and 0 < done < total:
            raise Enough(done / total)


class Watch:
    """What a search spends: first on what it prepares, then, from the first gradient on, on its iterations."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._begin = self._now()
        self._iterates: Costs | None = None
        self._over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def whole(self, share: float) -> Costs:
        """Of the search, after this share of its iterations."""
        self._over.set()
        middle, end = self._iterates or self._now(), self._now()
        return Costs(*(b - a + (c - b) / share for a, b, c in zip(self._begin, middle, end, strict=True)))

    def _look(self) -> None:
        while not self._over.wait(OFTEN):
            if self._passes.backwards > self._begin.backwards:
                self._iterates = self._now()
                return

    def _now(self) -> Costs:
        return Costs(self._passes.forwards, self._passes.backwards, time.perf_counter())
