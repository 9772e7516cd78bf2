"""How long the rest of a run will take: as a calibration has foreseen it, and as the run itself turns out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..work.schedule import Step
from ..work.units import Look, Score, Search, Teach, Unit

Kind = tuple[str, ...]
"""What costs the same an image: the clean images of a network, a job, a search, what one defense learns."""
ENOUGH = 2
"""From so many units on what they took says more than what was foreseen; the first also pays for what is done once."""


@dataclass
class _Work:
    """Of one kind: images that are left, seconds `foreseen` for each if they are known, and what was measured."""

    left: int = 0
    foreseen: float | None = None
    units: int = 0
    images: int = 0
    seconds: float = 0.0

    @property
    def each(self) -> float | None:
        """Seconds for an image."""
        if self.units and (self.units >= ENOUGH or self.foreseen is None):
            return self.seconds / self.images
        return self.foreseen


class Remaining:
    """Of the steps of a run, which so many `places` share; `foreseen` are seconds an image, by kind."""

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
        """In so many seconds, None where there was nothing to do."""
        work, images = self._work[kind_of(unit)], size_of(unit)
        work.left -= images
        if seconds is not None:
            work.units, work.images, work.seconds = work.units + 1, work.images + images, work.seconds + seconds

    def seconds(self) -> float | None:
        """None as long as nothing is known. What is unknown is taken to cost an image what the rest does."""
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
    """Images, or 1 where it has none."""
    return len(unit.samples) if isinstance(unit, Look | Score) else 1
