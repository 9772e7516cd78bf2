"""Fooling rate over what an attack may use, a budget or queries, from what each image took in one run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..grid.cells import Cell
from ..grid.described import Row
from .bootstrap import Numbers
from .source import Source
from .stats import Estimate, estimate

WORST = "worst case"
"""What the attack is called in the curve of all attacks on a system."""
STEPS = 100
"""Points of a curve, above 0 and equally far from each other; as many as there are queries where these are fewer."""

Axis = Literal["eps", "queries"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """`facts` are columns of the leaderboard that say what it is of, `cells` the names of what it is made from.

    `rates` in 0..1 stand at `points` of the axis `over`, of which the first is 0 and the last the attack's own: its
    queries, or its budget, an infinite one being the largest distance found.
    """

    facts: Row
    cells: Sequence[str]
    over: Axis
    points: Numbers
    rates: Sequence[Estimate]

    @property
    def is_worst_case(self) -> bool:
        return self.facts["attack"] == WORST


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """What each image took (N,), and the share (N,) of draws in which it is fooled from there on."""

    values: Numbers
    fooled: Numbers

    def at(self, point: float) -> Numbers:
        return np.where(self.values <= point, self.fooled, 0.0)


def traced(
    source: Source,
    facts: Row,
    members: Sequence[Cell],
    taken: Sequence[Taken],
    *,
    over: Axis,
    points: Numbers,
    clusters: Numbers | None,
) -> Iterator[Curve]:
    """Of an image that several have taken, the largest share counts. None of no length."""
    if not points[-1]:
        return
    rates: list[Estimate] = []
    before: Numbers | None = None
    for point in points:
        fooled = np.maximum.reduce([one.at(point) for one in taken])
        if before is None or not np.array_equal(fooled, before):  # else the estimate is the same
            rates.append(estimate(fooled, proportion=source.metric.proportion, clusters=clusters))
        else:
            rates.append(rates[-1])
        before = fooled
    keys = [source.key(cell) for cell in members]
    yield Curve(facts=facts | {"metric": source.name}, cells=keys, over=over, points=points, rates=rates)
