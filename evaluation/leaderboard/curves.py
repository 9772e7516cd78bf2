"""Fooling rate over the budget, from one run of any attack that looks for the smallest change.

What it found for an image at a distance fools it under every budget from there on. The worst case counts an image from
the smallest distance on at which any attack on the system fools it, also one that works within a budget.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.attack import MinimalAttack
from ..engine.grid import Cell, cells
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .bootstrap import Numbers
from .bundles import Bundle
from .described import Row, described, described_bundle
from .distances import Distances, distances, is_minimal
from .grouping import grouped
from .source import Facts, MissingScoresError, Scores, Source
from .stats import Estimate, estimate
from .table import sources

WORST = "worst case"
"""What the attack is called in the curve of all attacks on a system."""
STEPS = 100
"""Budgets of a curve, above 0 and equally far from each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """`facts` are columns of the leaderboard that say what it is of, `cells` the names of what it is made from.

    `rates` in 0..1 stand at the `budgets`, of which the first is 0 and the last the attack's own: infinite ones end at
    the largest distance found.
    """

    facts: Row
    cells: Sequence[str]
    budgets: Numbers
    rates: Sequence[Estimate]

    @property
    def is_worst_case(self) -> bool:
        return self.facts["attack"] == WORST


def curves(recipe: Recipe, facts: Facts, ledger: Ledger) -> list[Curve]:
    """Of every finished minimal attack on the system that it was crafted on, and of the worst case over several."""
    if not any(isinstance(attack, MinimalAttack) for attack in recipe.build_attacks()):
        return []  # without a look at the ledger
    return [curve for source in sources(recipe, facts, ledger) for curve in _of_source(source)]


def _of_source(source: Source) -> Iterator[Curve]:
    direct = [cell for cell in cells(source.recipe, source.model) if cell.direct]
    for same in grouped(direct, lambda cell: (cell.defense.digest, cell.job.attack.norm)).values():
        if any(map(is_minimal, same)):
            yield from _of_system(source, same)


def _of_system(source: Source, attacks: Sequence[Cell]) -> Iterator[Curve]:
    """Those of attacks in one norm."""
    scores = [(cell, found) for cell in attacks if (found := _finished(source, cell)) is not None]
    known = [(cell, found, measured) for cell, found in scores if (measured := distances(cell, found)) is not None]
    minimal = [(cell, found, measured) for cell, found, measured in known if is_minimal(cell)]
    for cell, found, measured in minimal:
        yield from _curve(source, described(cell), [cell], found, measured.values, _reach(measured))
    if minimal and len(known) > 1:
        members = [cell for cell, _, _ in known]
        nearest = np.minimum.reduce([measured.values for _, _, measured in known])
        reach = max(_reach(measured) for _, _, measured in minimal)
        bundle = Bundle(kind="worst case", name=WORST, source=source.model, threat=members[0].job.attack.threat)
        yield from _curve(source, described_bundle(bundle, members), members, known[0][1], nearest, reach)


def _finished(source: Source, cell: Cell) -> Scores | None:
    try:
        return source.scores(cell)
    except MissingScoresError:
        return None


def _reach(measured: Distances) -> float:
    """The budget at which a curve ends: 0 where an infinite one has not fooled a single image."""
    if np.isfinite(measured.eps):
        return measured.eps
    return max(measured.values[np.isfinite(measured.values)], default=0.0)


def _curve(
    source: Source, facts: Row, members: Sequence[Cell], scores: Scores, measured: Numbers, reach: float
) -> Iterator[Curve]:
    """None of no length."""
    if not reach:
        return
    budgets = np.linspace(0, reach, STEPS + 1)
    fooled = measured <= budgets[:, None]
    counts = fooled.sum(axis=1).tolist()
    by_count = {  # a larger budget that fools no further image fools the same ones
        count: estimate(row, proportion=source.metric.proportion, clusters=scores.frame.get("cluster"))
        for count, row in zip(counts, fooled, strict=True)
    }
    yield Curve(
        facts=facts | {"metric": source.name},
        cells=[source.key(cell) for cell in members],
        budgets=budgets,
        rates=[by_count[count] for count in counts],
    )
