"""Carry out units in the process of the run, one after the other."""

from collections.abc import Collection, Iterator

from ..networks.networks import Networks
from ..networks.prepare import Prepared
from ..networks.setup import Setup
from ..work.progress import Steps
from ..work.schedule import Step
from ..work.units import Ended, Result, Unit
from .worker import Worker


class InProcess:
    """An executor with a single place: this process, with the networks that are loaded already."""

    places = 1

    def __init__(self, prepared: Prepared, setup: Setup, steps: Steps) -> None:
        self.networks = Networks(setup, prepared.network, steps)
        self._worker = Worker(setup, self.networks, steps)
        self._begun: Iterator[Result] | None = None

    def idle(self) -> Collection[int]:
        return [0] if self._begun is None else []

    def begin(self, place: int, unit: Unit, following: Step | None) -> None:
        self._begun = self._worker.carry_out(unit, following)

    def wait(self) -> tuple[int, Result | Ended]:
        assert self._begun is not None
        for result in self._begun:
            return 0, result
        self._begun = None
        return 0, Ended()

    def close(self) -> None:
        self.networks.leave()
