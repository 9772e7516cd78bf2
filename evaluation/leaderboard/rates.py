"""The rates of a row, with their intervals, and the difference of two rows, whatever the metric is made of."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from ...core.task import Metric, Numbers
from ..ledger.record import SHARES
from .paired import Difference, difference, difference_of_values
from .scores import Scores
from .stats import CONFIDENCE, Estimate, estimate, estimate_of_value


def rate(scores: Scores, column: str) -> Estimate:
    """Of `gfr` and `floor` the share that has changed, of `clean` and `robust` the share of the best; in 0..1."""
    metric = scores.metric
    if metric.is_mean:
        return estimate(shares(scores, column), proportion=metric.proportion, clusters=scores.clusters)
    told = _Told(metric, column, scores.seeds)
    return estimate_of_value(told.behind(scores), told, clusters=scores.clusters)


def point(scores: Scores, column: str) -> float:
    """The same without its interval."""
    if scores.metric.is_mean:
        return float(shares(scores, column).mean())
    told = _Told(scores.metric, column, scores.seeds)
    return float(told(told.behind(scores).sum(axis=0)))


def shares(scores: Scores, column: str) -> Numbers:
    """The same image by image."""
    values = scores.numbers(column)
    return values if column in SHARES else scores.metric.share(values)


def rate_of(
    metric: Metric, found: Numbers, *, confidence: float = CONFIDENCE, clusters: ArrayLike | None = None
) -> Estimate:
    """The share of the best that images with these statistics come to."""
    if metric.value is None:
        proportion = metric.proportion
        return estimate(
            metric.share(metric.of_images(found)), proportion=proportion, confidence=confidence, clusters=clusters
        )
    value = metric.value
    return estimate_of_value(found, lambda sums: metric.share(value(sums)), confidence=confidence, clusters=clusters)


def difference_between(first: Scores, second: Scores, column: str) -> Difference:
    """The second minus the first, on the same images."""
    metric, clusters = first.metric, first.clusters
    if metric.is_mean:
        both = (shares(scores, column) for scores in (first, second))
        return difference(*both, proportion=metric.proportion, clusters=clusters)
    told = _Told(metric, column, max(first.seeds, second.seeds))
    return difference_of_values(told.behind(first), told.behind(second), told, clusters=clusters)


@dataclass(frozen=True)
class _Told:
    """What sums of statistics say of a column, in 0..1: the mean over seeds of what each says by itself.

    Of a metric that is no mean.
    """

    metric: Metric
    column: str
    seeds: int

    def behind(self, scores: Scores) -> Numbers:
        """(N, seeds * S), of all seeds; scores of a single one say the same for each."""
        return scores.statistics(self.column, self.seeds).reshape(len(scores), -1)

    def __call__(self, sums: Numbers) -> Numbers:
        assert self.metric.value is not None
        of_seeds = self.metric.value(sums.reshape(*sums.shape[:-1], self.seeds, -1))
        found = self.metric.share(of_seeds).mean(axis=-1)
        return 1 - found if self.column in SHARES else found
