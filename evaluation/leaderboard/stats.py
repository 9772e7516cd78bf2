"""Estimate means, and metrics of summed statistics, with 95% intervals. Missing data is an error, never 0.

Images that depend on each other, such as crops of one photograph, form a cluster: clusters are resampled then instead
of images.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, ndtri
from scipy.stats import norm, t

from ...core.errors import InputError
from .bootstrap import Numbers, percentile_interval, percentiles

CONFIDENCE = 0.95
FEW = 50
"""Below this number of images (or clusters) bootstrap intervals are too narrow, and are widened."""
_TRACE = 1e-9
"""The share of the whole set's sums that is added to those of a resample."""


class Estimate(NamedTuple):
    """A mean over images, or a metric of all of them, with the ends of its interval (95% by default)."""

    mean: float
    low: float
    high: float


def estimate(
    values: ArrayLike, *, proportion: bool, confidence: float = CONFIDENCE, clusters: ArrayLike | None = None
) -> Estimate:
    """Estimate the mean over images, with values in [0, 1], or in [-1, 1] for changes, and its interval.

    The interval is Wilson's for a `proportion` of independent images that each scored 0 or 1. Otherwise it is that of
    the percentile bootstrap over images, also for means over several draws of a randomized system, or over clusters if
    `clusters` has a cluster number for each image. Raises InputError for no values or values that are not finite.
    """
    sample = np.asarray(values, dtype=float)
    if not sample.size:
        raise InputError("Expected at least one score: the mean of no images does not exist.")
    if not np.isfinite(sample).all():
        raise InputError(f"Expected finite scores, got {(~np.isfinite(sample)).sum()} that are not.")
    binary = proportion and bool(((sample == 0) | (sample == 1)).all())
    totals, sizes = (sample, np.ones_like(sample)) if clusters is None else summed(sample, clusters)
    mean, means = float(sample.mean()), totals / sizes
    if binary and len(totals) == len(sample):
        low, high = _wilson(int(sample.sum()), sample.size, confidence)
    elif (means == means[0]).all():
        low, high = unseen(float(means[0]), len(totals), confidence)
    else:
        low, high = percentile_interval(totals, sizes, of_few(len(totals), confidence))
    return Estimate(mean, min(float(low), mean), max(float(high), mean))


def estimate_of_value(
    statistics: Numbers,
    value: Callable[[Numbers], Numbers],
    *,
    confidence: float = CONFIDENCE,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Estimate the `value`, in 0..1, of all images' summed statistics (N, S), with a bootstrap interval over images.

    With `clusters`, clusters are resampled, as in `estimate`. A resample may lack something, such as a class that few
    images have: it then counts as in the whole set, because leaving it out would turn the value of this resample into
    another metric. Raises InputError for no images.
    """
    if not len(statistics):
        raise InputError("Expected at least one image: the metric of none does not exist.")
    mean = float(value(statistics.sum(axis=0)))
    totals = statistics if clusters is None else summed(statistics, clusters)[0]
    if len(totals) == 1:
        return Estimate(mean, 0.0, 1.0)
    low, high = percentiles(lambda often: value(drawn(often, totals)), len(totals), of_few(len(totals), confidence))
    if math.isclose(low, high, abs_tol=1e-12):
        low, high = unseen(mean, len(totals), confidence)
    return Estimate(mean, min(low, mean), max(high, mean))


def drawn(often: Numbers, totals: Numbers) -> Numbers:
    """Return the summed statistics (B, S) of resamples, given how often each image occurs in them, (B, N).

    A trace of the whole set's sums is added, so that nothing is missing from any resample.
    """
    return often @ totals + _TRACE * totals.sum(axis=0)


def unseen(mean: float, count: int, confidence: float = CONFIDENCE, least: float = 0.0) -> tuple[float, float]:
    """Return the interval of the mean of `count` images, or clusters, of equal value, where resampling shows no spread.

    Images that were not seen may have any value from `least` to 1. Their share is bounded by that of Wilson's interval
    for 0 successes out of `count`, so that the result for values of only 0, or only 1, is Wilson's interval. A single
    image says nothing about others: the interval is everything from `least` to 1.
    """
    if count == 1:
        return least, 1.0
    share = float(ndtri((1 + confidence) / 2)) ** 2
    share /= count + share
    return mean - share * (mean - least), mean + share * (1 - mean)


def summed(sample: Numbers, clusters: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return the sums of the values, (N,) or (N, S), over each cluster, and the sizes of the clusters."""
    _, group = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(group).astype(float)
    if sample.ndim == 1:
        return np.bincount(group, weights=sample).astype(float), sizes
    totals = np.zeros((len(sizes), sample.shape[1]))
    np.add.at(totals, group, sample)
    return totals, sizes


def of_few(count: int, confidence: float) -> float:
    """Return the nominal confidence at which a percentile interval over `count` images, or clusters, has `confidence`.

    Percentiles over few images are too near to each other. They are taken as much further out as Student's quantiles
    are than the normal ones (Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789).
    """
    if count >= FEW:
        return confidence
    tail = norm.cdf(np.sqrt(count / (count - 1)) * t.ppf((1 - confidence) / 2, count - 1))
    return float(1 - 2 * tail)


def _wilson(successes: int, count: int, confidence: float) -> tuple[float, float]:
    """Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953. SciPy's runs a slow test as well."""
    rate, z = successes / count, float(ndtri((1 + confidence) / 2))
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return middle - half if successes else 0.0, middle + half if successes < count else 1.0


def larger(
    values: ArrayLike, others: ArrayLike, *, significance: float = 0.01, clusters: ArrayLike | None = None
) -> bool:
    """Return whether `values` exceed `others` more often than chance explains, by a one-sided sign test.

    The two are compared image by image, or by their sums over each cluster.
    """
    difference = np.asarray(values, dtype=float) - np.asarray(others, dtype=float)
    if clusters is not None:
        difference, _ = summed(difference, clusters)
    up, down = int((difference > 0).sum()), int((difference < 0).sum())
    return up > down and float(betainc(up, down + 1, 0.5)) < significance  # the binomial tail, without SciPy's checks
