"""Estimate the remaining time of a run, from a calibration and from the units that the run has finished."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..work.schedule import Step
from ..work.units import Look, Score, Search, Teach, Unit

Kind = tuple[str, ...]
"""A kind of units with the same cost per image: clean images of a network, a job, a search, a defense that learns."""
ENOUGH = 2
"""The number of finished units from which on measured times replace foreseen ones; the first pays one-time costs."""


@dataclass
class _Work:
    """The work of one kind: images left, seconds `foreseen` for each if known, and what was measured."""

    left: int = 0
    foreseen: float | None = None
    units: int = 0
    images: int = 0
    seconds: float = 0.0

    @property
    def each(self) -> float | None:
        """Seconds per image, measured or foreseen; None if unknown."""
        if self.units and (self.units >= ENOUGH or self.foreseen is None):
            return self.seconds / self.images
        return self.foreseen


class Remaining:
    """The remaining time of a run whose steps `places` workers share; `foreseen` are seconds per image, by kind."""

    def __init__(self, steps: Iterable[Step], foreseen: Mapping[Kind, float], places: int) -> None:
        self._places = places
        self._work: dict[Kind, _Work] = defaultdict(_Work)
        for step in steps:
            if not isinstance(step, str):
                self._work[kind_of(step)].left += size_of(step)
        for kind, seconds in foreseen.items():
            if kind in self._work:
                self._work[kind].foreseen = seconds

    def done(self, unit: Unit, seconds: float | None) -> None:
        """Record a unit as done, in `seconds`, or None if there was nothing to do."""
        work, images = self._work[kind_of(unit)], size_of(unit)
        work.left -= images
        if seconds is not None:
            work.units, work.images, work.seconds = work.units + 1, work.images + images, work.seconds + seconds

    def seconds(self) -> float | None:
        """Return the seconds left, None if nothing is known; kinds of unknown cost are given the mean per image."""
        if not any(work.left for work in self._work.values()):
            return 0.0
        known = [(work.each, work.left + work.images) for work in self._work.values() if work.each is not None]
        images = sum(count for _, count in known)
        if not images:
            return None
        mean = sum(each * count for each, count in known) / images
        left = [work.left * (mean if work.each is None else work.each) for work in self._work.values()]
        return sum(left) / self._places


def kind_of(unit: Unit) -> Kind:
    match unit:
        case Look():
            return "look", unit.network
        case Teach():
            return "teach", unit.network, unit.defense
        case Search():
            return "search", unit.job
        case Score():
            return "score", unit.job


def size_of(unit: Unit) -> int:
    """Return the number of images of a unit, or 1 if it has none."""
    return len(unit.samples) if isinstance(unit, Look | Score) else 1
