"""The rates of a row, with their intervals, and the difference of two rows, whatever the metric is made of."""

import pandas as pd
from numpy.typing import ArrayLike

from ...core.task import Metric, Numbers
from .frames import statistics
from .paired import Difference, difference, difference_of_values
from .stats import CONFIDENCE, Estimate, estimate, estimate_of_value

_SHARES = ("gfr", "floor")


def rate(metric: Metric, scores: pd.DataFrame, column: str) -> Estimate:
    """Of `gfr` and `floor` the share that has changed, of `clean` and `robust` the share of the best; in 0..1."""
    clusters = scores.get("cluster")
    if metric.is_mean:
        return estimate(shares(metric, scores, column), proportion=metric.proportion, clusters=clusters)
    found = rate_of(metric, statistics(scores, column), clusters=clusters)
    return Estimate(1 - found.mean, 1 - found.high, 1 - found.low) if column in _SHARES else found


def point(metric: Metric, scores: pd.DataFrame, column: str) -> float:
    """The same without its interval."""
    if metric.is_mean:
        return float(shares(metric, scores, column).mean())
    found = metric.share(metric.of_set(statistics(scores, column)))
    return 1 - found if column in _SHARES else found


def shares(metric: Metric, scores: pd.DataFrame, column: str) -> Numbers:
    """The same image by image."""
    values = scores[column].to_numpy(float)
    return values if column in _SHARES else metric.share(values)


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
    if metric.value is None:
        both = (shares(metric, scores, column) for scores in (first, second))
        return difference(*both, proportion=metric.proportion, clusters=clusters)
    value = metric.value

    def told(sums: Numbers) -> Numbers:
        found = metric.share(value(sums))
        return 1 - found if column in _SHARES else found

    return difference_of_values(statistics(first, column), statistics(second, column), told, clusters=clusters)
