"""Derive curves of the fooling rate over budgets and over queries from single runs of attacks.

An adversarial image at some distance fools under every budget from there on, and one found after some queries with any
number from there on. In the worst case an image counts from the smallest value on at which any attack on the system
fools it. Over the budget this includes attacks that work within a fixed budget, not only those that minimize.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from ...core.attack import MinimalAttack
from ...core.query_attack import QueryAttack
from ..grid.bundles import Bundle
from ..grid.cells import Cell
from ..grid.described import Row, described, described_bundle
from .bootstrap import Numbers
from .chance import is_by_chance
from .curve import STEPS, WORST, Curve, Taken, traced
from .distances import Distances, distances, is_minimal
from .grouping import grouped
from .queries import counts_queries, queries
from .scores import Scores
from .source import MissingScoresError, ScoredRun, Source


def curves(run: ScoredRun) -> list[Curve]:
    """Return the curves of every finished attack on the system that it was crafted on, and of worst cases over several.

    Minimal attacks have curves over the budget, attacks that count their queries have curves over queries.
    """
    if not any(isinstance(attack, MinimalAttack | QueryAttack) for attack in run.recipe.build_attacks()):
        return []  # the ledger need not be read
    return [curve for source in run.sources for curve in _of_source(source)]


def _of_source(source: Source) -> Iterator[Curve]:
    direct = [cell for cell in source.cells if cell.direct]
    for same in grouped(direct, lambda cell: (cell.defense.digest, cell.job.attack.norm)).values():
        if any(map(is_minimal, same)):
            yield from _over_budgets(source, same)
    asking = [cell for cell in direct if counts_queries(cell)]
    for same in grouped(asking, lambda cell: (cell.defense.digest, cell.job.attack.threat)).values():
        yield from _over_queries(source, same)


def _over_budgets(source: Source, attacks: Sequence[Cell]) -> Iterator[Curve]:
    """Yield the curves over the budget of attacks on one system in one norm."""
    scores = [(cell, found) for cell in attacks if (found := _finished(source, cell)) is not None]
    known = [(cell, found, measured) for cell, found in scores if (measured := distances(cell, found)) is not None]
    minimal = [(cell, found, measured) for cell, found, measured in known if is_minimal(cell)]

    def curve(facts: Row, members: Sequence[Cell], scores: Scores, measured: Numbers, reach: float) -> Iterator[Curve]:
        taken = [Taken(values=measured, fooled=np.isfinite(measured).astype(float))]
        points, clusters = np.linspace(0, reach, STEPS + 1), scores.clusters
        yield from traced(source, facts, members, taken, over="eps", points=points, clusters=clusters)

    for cell, found, measured in minimal:
        yield from curve(described(cell), [cell], found, measured.values, _reach(measured))
    if minimal and len(known) > 1:
        members = [cell for cell, _, _ in known]
        nearest = np.minimum.reduce([measured.values for _, _, measured in known])
        reach = max(_reach(measured) for _, _, measured in minimal)
        yield from curve(_worst_of(source, members), members, known[0][1], nearest, reach)


def _over_queries(source: Source, attacks: Sequence[Cell]) -> Iterator[Curve]:
    """Yield the curves over queries of attacks on one system under one threat."""
    known: list[tuple[Cell, Scores, Taken]] = []
    for cell in attacks:
        found = _finished(source, cell)
        taken = None if found is None else queries(cell, found)
        if found is not None and taken is not None:
            known.append((cell, found, taken))

    def curve(facts: Row, members: Sequence[tuple[Cell, Scores, Taken]]) -> Iterator[Curve]:
        together, scores, taken = zip(*members, strict=True)
        most = max(cell.job.attack.queries for cell in together)
        points, clusters = np.unique(np.linspace(0, most, STEPS + 1).round()), scores[0].clusters
        yield from traced(source, facts, together, taken, over="queries", points=points, clusters=clusters)

    for member in known:
        yield from curve(described(member[0]), [member])
    if len(known) > 1 and not any(is_by_chance(cell, found) for cell, found, _ in known):
        yield from curve(_worst_of(source, [cell for cell, _, _ in known]), known)


def _worst_of(source: Source, members: Sequence[Cell]) -> Row:
    threat = members[0].job.attack.threat
    return described_bundle(Bundle(kind="worst case", name=WORST, source=source.model, threat=threat), members)


def _finished(source: Source, cell: Cell) -> Scores | None:
    try:
        return source.scores(cell)
    except MissingScoresError:
        return None


def _reach(measured: Distances) -> float:
    """Return the budget at which a curve ends; 0 if it is infinite and no image is fooled."""
    if np.isfinite(measured.eps):
        return measured.eps
    return max(measured.values[np.isfinite(measured.values)], default=0.0)
