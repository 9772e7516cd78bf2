"""A search is broken off when it has shown what the rest of it will take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....core.passes import Passes
from ...ledger.ledger import Costs
from ..work.progress import Bar, Steps


class Report(NamedTuple):
    """How many iterations were done, and what had been spent by then, as `Costs` have it."""

    done: int
    spent: NDArray[np.float64]


class Enough(BaseException):  # beyond all that is caught of attacks
    """By now it is known what the `whole` search costs."""

    def __init__(self, whole: Costs) -> None:
        self.whole = whole


class Watch:
    """What a search spends, which is broken off at the first word on how far it is that tells, so many seconds of
    `patience` after the first one, what the rest of it takes.

    A search that says how many `validations` it makes, which cost more than iterations, tells of each iteration.
    """

    def __init__(self, passes: Passes, validations: int, patience: float) -> None:
        self._passes, self._validations, self._patience = passes, validations, patience
        self._reports: list[Report] = []
        self._begin = self._now()

    @property
    def spent(self) -> Costs:
        return Costs(*(self._now() - self._begin))

    def look(self, done: int, total: int) -> None:
        """Raises Enough."""
        self._reports.append(Report(done, self._now() - self._begin))
        first, last = self._reports[0], self._reports[-1]
        if done < total and (last.spent - first.spent)[-1] >= self._patience:
            whole = self._whole_with_validations(total) if self._validations else self._whole(total)
            if whole is not None:
                raise Enough(Costs(*whole))

    def _whole(self, total: int) -> NDArray[np.float64] | None:
        """None as long as it cannot be told."""
        first, last = self._reports[0], self._reports[-1]
        if last.done == first.done:
            return None
        return first.spent + (last.spent - first.spent) * (total - first.done) / (last.done - first.done)

    def _whole_with_validations(self, total: int) -> NDArray[np.float64] | None:
        """Clean images are validated as perturbed ones are, between the first two words."""
        if len(self._reports) < 3:
            return None
        first, second, last = *self._reports[:2], self._reports[-1]
        early, late = second.done - first.done, last.done - second.done  # iterations
        made = self._validations * last.done // total  # among the later ones
        if late <= made * early:
            return None
        begin, since = second.spent - first.spent, last.spent - second.spent
        iteration = np.maximum((since - made * begin) / (late - made * early), 0)
        validation = np.maximum(begin - early * iteration, 0)
        return second.spent + (total - second.done) * iteration + self._validations * validation

    def _now(self) -> NDArray[np.float64]:
        return np.array([self._passes.forwards, self._passes.backwards, time.perf_counter()])


class Impatience:
    """Steps that tell a watch, where there is one, how far a search is."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._watch: Watch | None = None

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        self._watch = watch
        try:
            yield
        finally:
            self._watch = None

    @contextmanager
    def step(self, what: str, total: int, unit: str) -> Iterator["_Bar"]:
        with self._steps.step(what, total, unit) as bar:
            yield _Bar(bar, self._watch)


class _Bar:
    def __init__(self, bar: Bar, watch: Watch | None) -> None:
        self._bar, self._watch = bar, watch

    def advance(self, amount: int) -> None:
        self._bar.advance(amount)

    def at(self, done: int, total: int, unit: str) -> None:
        self._bar.at(done, total, unit)
        if self._watch is not None:
            self._watch.look(done, total)
