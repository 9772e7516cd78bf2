"""Teach defenses for a calibration: short lessons in full; of long ones only the costs are estimated."""

import time
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ....core.defense import LearningData
from ....core.errors import foreign_errors
from ....core.learned import Learned
from ....core.learned_defense import LearnedDefense
from ....core.place import ALONE, Place
from ...ledger.ledger import Costs
from ..networks.school import School
from .rates import Call, Rate

FEW, MORE = 8, 32
"""The number of images in a trial lesson, and in a second one if the first one is quick."""
QUICK = 3.0
"""Seconds below which a trial lesson counts as quick."""
LONG = 10.0
"""Estimated seconds above which a whole lesson is left to the run."""


class Lesson(NamedTuple):
    """The costs of a whole lesson, and what was learned from a few images, which takes as long to score with."""

    costs: Costs
    learned: Learned


@dataclass(frozen=True)
class Trial(School):
    """A school for calibrations; `lessons` collects those that are left to the run, by their name on the shelf."""

    lessons: dict[str, Lesson] = field(kw_only=True)

    def teach(self, part: LearnedDefense, place: Place = ALONE) -> Learned:
        """Return what a part learns: from all images if that takes at most `LONG` seconds, else from a few."""
        name = self.name(part, place)
        if name not in self.lessons:
            start = self._now()
            data = self.data(part)
            loading = self._now().since(start)
            lesson = self._tried(part, place, data)
            if lesson is None or lesson.costs.seconds <= LONG:
                return self.kept(part, place, self.taught(part, place, data))
            self.lessons[name] = lesson._replace(costs=lesson.costs.plus(loading))
        return self.lessons[name].learned

    def _tried(self, part: LearnedDefense, place: Place, data: LearningData) -> Lesson | None:
        """Return a trial lesson; None if there are no more images than it takes, or if the part fails on so few."""
        calls, count = [], len(data.images)
        if count <= FEW:
            return None
        try:
            learned, first = self._timed(part, place, data, FEW)
            calls = [Call(FEW, first)]
            if first.seconds < QUICK and count > MORE:
                learned, second = self._timed(part, place, data, MORE)
                calls += [calls[0], Call(MORE, second)]
        except foreign_errors():
            return None
        return Lesson(Rate.of(calls).costs(count, first=True), learned)

    def _timed(self, part: LearnedDefense, place: Place, data: LearningData, count: int) -> tuple[Learned, Costs]:
        labels = None if data.labels is None else data.labels[:count]
        start = self._now()
        learned = self.taught(part, place, replace(data, images=data.images[:count], labels=labels))
        return learned, self._now().since(start)

    def _now(self) -> Costs:
        passes = self.model.passes
        return Costs(passes.forwards, passes.backwards, time.perf_counter())
