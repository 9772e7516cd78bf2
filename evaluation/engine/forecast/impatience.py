"""Stop a universal search once its progress tells what the whole search will cost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....core.errors import Interruption
from ....core.passes import Passes
from ...ledger.ledger import Costs
from ..work.progress import Bar, Steps


class Report(NamedTuple):
    """A progress report: the number of iterations done, and the costs so far, in the order of `Costs`."""

    done: int
    spent: NDArray[np.float64]


class Enough(Interruption):
    """Raised to stop a search when the costs of the `whole` search are known."""

    def __init__(self, whole: Costs) -> None:
        self.whole = whole


class Watch:
    """Measures the costs of a search, and stops it once its whole costs can be extrapolated.

    It is stopped at the first report that allows this, at least `patience` seconds after the first report. A search
    that declares its `validations`, which cost more than iterations, reports every iteration.
    """

    def __init__(self, passes: Passes, validations: int, patience: float) -> None:
        self._passes, self._validations, self._patience = passes, validations, patience
        self._reports: list[Report] = []
        self._begin = self._now()

    @property
    def spent(self) -> Costs:
        return Costs(*(self._now() - self._begin))

    def look(self, done: int, total: int) -> None:
        """Record a progress report. Raises Enough if that suffices to know the costs of the whole search."""
        self._reports.append(Report(done, self._now() - self._begin))
        first, last = self._reports[0], self._reports[-1]
        if done < total and (last.spent - first.spent)[-1] >= self._patience:
            whole = self._whole_with_validations(total) if self._validations else self._whole(total)
            if whole is not None:
                raise Enough(Costs(*whole))

    def _whole(self, total: int) -> NDArray[np.float64] | None:
        """Extrapolate the costs of the whole search; None until two reports differ."""
        first, last = self._reports[0], self._reports[-1]
        if last.done == first.done:
            return None
        return first.spent + (last.spent - first.spent) * (total - first.done) / (last.done - first.done)

    def _whole_with_validations(self, total: int) -> NDArray[np.float64] | None:
        """Extrapolate with validations: between the first two reports, clean images are validated at the same cost."""
        if len(self._reports) < 3:
            return None
        first, second, last = *self._reports[:2], self._reports[-1]
        early, late = second.done - first.done, last.done - second.done  # iterations
        made = self._validations * last.done // total  # validations since the second report
        if late <= made * early:
            return None
        begin, since = second.spent - first.spent, last.spent - second.spent
        iteration = np.maximum((since - made * begin) / (late - made * early), 0)
        validation = np.maximum(begin - early * iteration, 0)
        return second.spent + (total - second.done) * iteration + self._validations * validation

    def _now(self) -> NDArray[np.float64]:
        return np.array([self._passes.forwards, self._passes.backwards, time.perf_counter()])


class Impatience:
    """Steps that pass the progress of a search on to a watch, if one is set."""

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
