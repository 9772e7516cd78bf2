"""Compute the rates of a row with intervals, and differences of two rows, for means and for metrics of whole sets."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from ...core.task import Metric, Numbers
from ..ledger.record import SHARES
from .paired import Difference, difference, difference_of_values
from .scores import Scores
from .stats import CONFIDENCE, Estimate, estimate, estimate_of_value


def rate(scores: Scores, column: str) -> Estimate:
    """Return the rate of a column in 0..1 with its interval.

    For `gfr` and `floor` it is the share of predictions that changed, for `clean` and `robust` the share of the best
    possible metric.
    """
    metric = scores.metric
    if metric.is_mean:
        return estimate(shares(scores, column), proportion=metric.proportion, clusters=scores.clusters)
    told = _Told(metric, column, scores.seeds)
    return estimate_of_value(told.behind(scores), told, clusters=scores.clusters)


def point(scores: Scores, column: str) -> float:
    """Return the rate of a column in 0..1, without its interval."""
    if scores.metric.is_mean:
        return float(shares(scores, column).mean())
    told = _Told(scores.metric, column, scores.seeds)
    return float(told(told.behind(scores).sum(axis=0)))


def shares(scores: Scores, column: str) -> Numbers:
    """Return the rate of each image alone, (N,) in 0..1."""
    values = scores.numbers(column)
    return values if column in SHARES else scores.metric.share(values)


def rate_of(
    metric: Metric, found: Numbers, *, confidence: float = CONFIDENCE, clusters: ArrayLike | None = None
) -> Estimate:
    """Return the metric of images with the statistics `found`, (N,) or (N, S), as a share of the best in 0..1."""
    if metric.value is None:
        proportion = metric.proportion
        return estimate(
            metric.share(metric.of_images(found)), proportion=proportion, confidence=confidence, clusters=clusters
        )
    value = metric.value
    return estimate_of_value(found, lambda sums: metric.share(value(sums)), confidence=confidence, clusters=clusters)


def difference_between(first: Scores, second: Scores, column: str) -> Difference:
    """Compare a rate, in 0..1, of two scores of the same images: the second minus the first."""
    metric, clusters = first.metric, first.clusters
    if metric.is_mean:
        both = (shares(scores, column) for scores in (first, second))
        return difference(*both, proportion=metric.proportion, clusters=clusters)
    told = _Told(metric, column, max(first.seeds, second.seeds))
    return difference_of_values(told.behind(first), told.behind(second), told, clusters=clusters)


@dataclass(frozen=True)
class _Told:
    """The function from summed statistics to a rate in 0..1, the mean over seeds, of a metric that is no mean."""

    metric: Metric
    column: str
    seeds: int

    def behind(self, scores: Scores) -> Numbers:
        """Return the statistics of all seeds, (N, seeds * S); those of a single seed are repeated."""
        return scores.statistics(self.column, self.seeds).reshape(len(scores), -1)

    def __call__(self, sums: Numbers) -> Numbers:
        assert self.metric.value is not None
        of_seeds = self.metric.value(sums.reshape(*sums.shape[:-1], self.seeds, -1))
        found = self.metric.share(of_seeds).mean(axis=-1)
        return 1 - found if self.column in SHARES else found
