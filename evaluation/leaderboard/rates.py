"""The rates of a row, with their intervals, and the difference of two rows, whatever the metric is made of."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...core.task import Metric, Numbers
from ..ledger.record import SHARES
from .frames import seeds_of, statistics
from .paired import Difference, difference, difference_of_values
from .stats import CONFIDENCE, Estimate, estimate, estimate_of_value


def rate(metric: Metric, scores: pd.DataFrame, column: str) -> Estimate:
    """Of `gfr` and `floor` the share that has changed, of `clean` and `robust` the share of the best; in 0..1."""
    clusters = scores.get("cluster")
    if metric.is_mean:
        return estimate(shares(metric, scores, column), proportion=metric.proportion, clusters=clusters)
    told = _Told.of(metric, column, seeds_of(scores))
    return estimate_of_value(told.behind(scores), told, clusters=clusters)


def point(metric: Metric, scores: pd.DataFrame, column: str) -> float:
    """The same without its interval."""
    if metric.is_mean:
        return float(shares(metric, scores, column).mean())
    told = _Told.of(metric, column, seeds_of(scores))
    return float(told(told.behind(scores).sum(axis=0)))


def shares(metric: Metric, scores: pd.DataFrame, column: str) -> Numbers:
    """The same image by image."""
    values = scores[column].to_numpy(float)
    return values if column in SHARES else metric.share(values)


def rate_of(
    metric: Metric, found: Numbers, *, confidence: float = CONFIDENCE, clusters: ArrayLike | None = None
) -> Estimate:
    """The share of the best that images with these statistics come to."""
    if metric.value is None:
        proportion = metric.proportion
        return estimate(metric.share(found), proportion=proportion, confidence=confidence, clusters=clusters)
    value = metric.value
    return estimate_of_value(found, lambda sums: metric.share(value(sums)), confidence=confidence, clusters=clusters)


def difference_between(metric: Metric, first: pd.DataFrame, second: pd.DataFrame, column: str) -> Difference:
    """The second minus the first, on the same images."""
    clusters = first.get("cluster")
    if metric.is_mean:
        both = (shares(metric, scores, column) for scores in (first, second))
        return difference(*both, proportion=metric.proportion, clusters=clusters)
    told = _Told.of(metric, column, max(seeds_of(first), seeds_of(second)))
    return difference_of_values(told.behind(first), told.behind(second), told, clusters=clusters)


@dataclass(frozen=True)
class _Told:
    """What sums of statistics say of a column, in 0..1: the mean over seeds of what each says by itself."""

    metric: Metric
    column: str
    seeds: int
    value: Callable[[Numbers], Numbers]

    @classmethod
    def of(cls, metric: Metric, column: str, seeds: int) -> "_Told":
        """Of a metric that has a `value`."""
        assert metric.value is not None
        return cls(metric, column, seeds, metric.value)

    def behind(self, scores: pd.DataFrame) -> Numbers:
        """(N, seeds * S), of all seeds; a frame of a single one says the same for each."""
        known = seeds_of(scores)
        return np.concatenate([statistics(scores, self.column, seed % known) for seed in range(self.seeds)], axis=1)

    def __call__(self, sums: Numbers) -> Numbers:
        parts = np.split(sums, self.seeds, axis=-1)
        found = np.mean([self.metric.share(self.value(part)) for part in parts], axis=0)
        return 1 - found if self.column in SHARES else found
