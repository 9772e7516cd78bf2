"""Trace the fooling rate over a budget or a number of queries, from what each image took in a single run."""

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
"""The name of the attack in the curve of all attacks on a system together."""
STEPS = 100
"""The number of equally spaced points of a curve above 0; fewer if an attack has fewer queries."""

Axis = Literal["eps", "queries"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """The fooling rate of an attack, or of the worst case over several, as a function of budget or queries.

    `facts` are the columns of the leaderboard that identify the row, `cells` the keys of the cells behind it. `rates`,
    in 0..1, belong to `points` on the axis `over`. The first point is 0, the last is the attack's number of queries or
    its budget; if that is infinite, the largest distance found.
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
    """The budget or queries that each image took, (N,), and the share of draws that fool it from there on, (N,)."""

    values: Numbers
    fooled: Numbers

    def at(self, point: float) -> Numbers:
        """Return the share, (N,) in 0..1, at which each image is fooled with a budget or number of queries."""
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
    """Yield the curve of one or several attacks, the best of which counts per image; nothing if it would end at 0."""
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
