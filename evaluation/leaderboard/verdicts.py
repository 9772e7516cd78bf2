"""Judge rows by the gates of their recipe, taking into account the uncertainty of a finite number of images."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import norm

from ...core.words import counted
from ..grid.described import Row
from ..grid.planned import Planned
from ..recipe.gates import Bound
from ..recipe.recipe import Recipe
from .flags import twice
from .grouping import grouped
from .rates import difference_between, shares
from .rates import rate as rate_with_interval
from .scores import Scores
from .source import MissingScoresError, ScoredRun, Source
from .stats import CONFIDENCE, Estimate
from .system_rows import SystemRows, flag_twice
from .table import system_rows

Outcome = Literal["passed", "failed", "undecided", "unknown"]
"""A verdict is undecided if the bound lies within the interval, and unknown if there is no number to judge."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MadeRow:
    """A planned row with its numbers, and with the scores behind them, None unless the row is finished.

    `bare` are the scores of some finished attack on the undefended network, for its clean rate; None if there are none.
    """

    plan: Planned
    source: Source
    row: Row
    scores: Scores | None
    bare: Scores | None

    @property
    def is_bare(self) -> bool:
        return self.plan.cells[0].defense.defense is None


class Verdict(NamedTuple):
    """The verdict on one bound of a gate for one row, with the rate in percent, over `n` images.

    `needed` is roughly how many images would decide an undecided verdict, None if no number would. `remark` says why a
    verdict is unknown, or lists the flags of the row. `metric` names the metric if the task has several.
    """

    row: str
    bound: Bound
    outcome: Outcome
    rate: Estimate | None = None
    n: int = 0
    needed: int | None = None
    remark: str = ""
    metric: str = ""

    def __str__(self) -> str:
        return f"{self.row}: {self.told}"

    @property
    def told(self) -> str:
        """The verdict in words, without the name of the row."""
        bound = f"{self.bound} of {self.metric}" if self.metric else str(self.bound)
        if self.rate is None:
            return f"{bound} cannot be judged: {self.remark}"
        interval = f"{self.rate.mean:.1f} [{self.rate.low:.1f}, {self.rate.high:.1f}]"
        undecided = "no number of images decides" if self.needed is None else f"about {self.needed} images would decide"
        more = f" with {counted(self.n, 'image')}, {undecided}" if self.outcome == "undecided" else ""
        doubts = f" (flagged: {self.remark})" if self.remark else ""
        return f"{bound} {self.outcome}{more}: {self.bound.quantity} is {interval}{doubts}"


def verdicts(run: ScoredRun, rows: Sequence[Planned]) -> list[Verdict]:
    """Return the verdicts of all gates of a recipe on these rows, in their order, with the flags of the leaderboard."""
    bounded = [row for row in rows if bounds_of(run.recipe, row)]
    found: dict[str, list[Verdict]] = {row.name: [] for row in bounded}
    for source in run.sources:
        for verdict in _of_source(source, [row for row in bounded if row.facts["model"] == source.model]):
            found[verdict.row].append(verdict)
    return [verdict for row in bounded for verdict in found[row.name]]


def _of_source(source: Source, rows: Sequence[Planned]) -> Iterator[Verdict]:
    """Yield the verdicts for one model and metric, after all rows are read: only then are repeated results known."""
    if not any(bound for row in rows for bound in _bounds_on(source, row)):
        return
    waiting, bare, fingerprints = grouped(rows, system_of), bare_scores(source), {}
    found: list[tuple[Row, list[Verdict]]] = []
    for system in system_rows(source):
        fingerprints |= system.findings.fingerprints
        for plan in waiting.get(system.digest, []):
            made = made_row(system, source, plan, bare)
            found.append((made.row, judged(made)))
    flag_twice([row for row, _ in found], twice(fingerprints))
    for row, of_row in found:
        for verdict in of_row:
            yield verdict if verdict.rate is None else verdict._replace(remark=row["flagged"])


def bounds_of(recipe: Recipe, row: Planned) -> list[Bound]:
    """Return the bounds of all gates that apply to a row, for any metric."""
    return [bound for gate in recipe.gates if gate.matches(row.facts, row.labels) for bound in gate.bounds]


def made_row(system: SystemRows, source: Source, plan: Planned, bare: Scores | None) -> MadeRow:
    row, scores = system.scored_plan(plan)
    return MadeRow(plan=plan, source=source, row=row, scores=scores, bare=bare)


def system_of(plan: Planned) -> str:
    return plan.cells[0].defense.digest


def bare_scores(source: Source) -> Scores | None:
    """Return the scores of the first finished attack on the undefended network, or None if there is none."""
    for cell in source.cells:
        if cell.defense.defense is None:
            try:
                return source.scores(cell)
            except MissingScoresError:
                continue
    return None


def judged(made: MadeRow) -> list[Verdict]:
    """Return the verdicts of the gates on a row that apply to its metric.

    Raises ConfigError for a gate whose metric the task lacks, or whose metric is an error.
    """
    source = made.source
    verdicts = [_verdict(made, bound) for bound in _bounds_on(source, made.plan)]
    several = len(source.run.facts.task.metrics) > 1
    return [verdict._replace(metric=source.name) for verdict in verdicts] if several else verdicts


def _bounds_on(source: Source, plan: Planned) -> list[Bound]:
    """Return the bounds of the gates on a row that apply to the metric of the source."""
    metrics = source.run.facts.task.metrics
    about = [gate for gate in source.run.recipe.gates if gate.matches(plan.facts, plan.labels)]
    return [bound for gate in about if gate.judges(metrics) == source.name for bound in gate.bounds]


def _verdict(made: MadeRow, bound: Bound) -> Verdict:
    name, scores, metric = made.plan.name, made.scores, made.source.metric
    if scores is None:
        return Verdict(name, bound, "unknown", remark=made.row["error"])
    if bound.quantity != "gfr" and "clean" not in scores:
        return Verdict(name, bound, "unknown", remark="the images have no labels")
    if bound.quantity == "drop":
        if made.bare is None:
            return Verdict(name, bound, "unknown", remark="no attack on the bare network is finished")
        rate, values = _drop(scores, made.bare, is_bare=made.is_bare), None
    else:
        values, rate = shares(scores, bound.quantity), rate_with_interval(scores, bound.quantity)
    binary = values is not None and metric.proportion and bool(np.isin(values, (0, 1)).all())
    exact = binary and scores.clusters is None
    outcome = _outcome(bound, rate)
    needed = images_to_decide(rate, bound.limit / 100, len(scores), wilson=exact) if outcome == "undecided" else None
    percent = Estimate(*(100 * value + 0.0 for value in rate))
    return Verdict(name, bound, outcome, percent, len(scores), needed, made.row["flagged"])


def _drop(scores: Scores, bare: Scores, *, is_bare: bool) -> Estimate:
    """Return how much of the clean rate a defense costs, in 0..1, from paired images; 0 for the bare network itself."""
    if is_bare:
        return Estimate(0.0, 0.0, 0.0)
    found = difference_between(scores, bare, "clean")
    return Estimate(found.difference, found.low, found.high)


def _outcome(bound: Bound, rate: Estimate) -> Outcome:
    limit, is_max = bound.limit / 100, bound.side == "max"
    if rate.high <= limit if is_max else rate.low >= limit:
        return "passed"
    return "failed" if (rate.low > limit if is_max else rate.high < limit) else "undecided"


def images_to_decide(rate: Estimate, limit: float, count: int, *, wilson: bool) -> int | None:
    """Return how many images at the same rate would have an interval without the limit, rates being in 0..1.

    It is more than the present `count` in any case, and None if the rate equals the limit. For Wilson's interval, which
    inverts the score test, it is exact; other intervals are assumed to shrink with the square root of the count.
    """
    far = limit - rate.mean
    if abs(far) < 1e-9:
        return None
    if wilson:
        z = float(norm.ppf((1 + CONFIDENCE) / 2))
        return max(count + 1, math.ceil(z**2 * limit * (1 - limit) / far**2))
    end = rate.high if far > 0 else rate.low
    return max(count + 1, math.ceil(count * ((end - rate.mean) / far) ** 2))
