"""Means, and values of sums, with 95% intervals. Missing data is an error, never 0.

Images that depend on each other, as crops of one photograph, are a cluster: what is resampled are clusters then.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import binomtest, norm, t

from ...core.errors import InputError
from .bootstrap import Numbers, percentile_interval, percentiles

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A mean over images and the ends of its 95% interval."""

    mean: float
    low: float
    high: float


def estimate(
    values: ArrayLike, *, proportion: bool, confidence: float = CONFIDENCE, clusters: ArrayLike | None = None
) -> Estimate:
    """Mean over images, whose values are in [0, 1], as changes also in [-1, 1], and its interval.

    Wilson's for a `proportion` whose images each scored 0 or 1; else the image-level percentile bootstrap (also for the
    mean over several draws of a randomized system). With `clusters`, a number for each image, see `_of_clusters`.
    Raises InputError for no values or values that are not finite.
    """
    sample = np.asarray(values, dtype=float)
    if not sample.size:
        raise InputError("Expected at least one score: the mean of no images does not exist.")
    if not np.isfinite(sample).all():
        raise InputError(f"Expected finite scores, got {(~np.isfinite(sample)).sum()} that are not.")
    binary = proportion and bool(((sample == 0) | (sample == 1)).all())
    totals, sizes = (sample, np.ones_like(sample)) if clusters is None else summed(sample, clusters)
    if len(totals) < len(sample):
        low, high = _of_clusters(totals, sizes, confidence, binary=binary)
    elif binary:
        low, high = _wilson(int(sample.sum()), sample.size, confidence)
    else:
        low, high = percentile_interval(totals, sizes, confidence)
    return Estimate(float(sample.mean()), float(low), float(high))


def estimate_of_value(
    statistics: Numbers,
    value: Callable[[Numbers], Numbers],
    *,
    confidence: float = CONFIDENCE,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """What `value` makes, in 0..1, of the sum of all images' statistics (N, S); its interval by resampling images.

    With `clusters` these are resampled, as `estimate` does it. Raises InputError for no images.
    """
    if not len(statistics):
        raise InputError("Expected at least one image: the metric of none does not exist.")
    mean = float(value(statistics.sum(axis=0)))
    totals = statistics if clusters is None else summed(statistics, clusters)[0]
    if len(totals) == 1:
        return Estimate(mean, 0.0, 1.0)
    if len(totals) < len(statistics):
        confidence = _of_few(len(totals), confidence)
    low, high = percentiles(lambda often: value(often @ totals), len(totals), confidence)
    return Estimate(mean, low, high)


def summed(sample: Numbers, clusters: ArrayLike) -> tuple[Numbers, Numbers]:
    """The sum of each cluster's values, (N,) or (N, S), and how many they are."""
    _, group = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(group).astype(float)
    if sample.ndim == 1:
        return np.bincount(group, weights=sample).astype(float), sizes
    totals = np.zeros((len(sizes), sample.shape[1]))
    np.add.at(totals, group, sample)
    return totals, sizes


def _of_clusters(totals: Numbers, sizes: Numbers, confidence: float, *, binary: bool) -> tuple[float, float]:
    """The percentile interval of the mean over resampled clusters.

    Of few clusters that is too short, so its quantiles are as much further out as Student's are than the normal ones
    (Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789). One cluster says nothing about others: all is
    possible. Where all images agree there is nothing to resample, and each cluster is one image of Wilson's interval.
    """
    count = len(totals)
    if count == 1:
        return 0.0, 1.0
    if binary and totals.sum() in (0, sizes.sum()):
        return _wilson(count if totals.any() else 0, count, confidence)
    return percentile_interval(totals, sizes, _of_few(count, confidence))


def _of_few(count: int, confidence: float) -> float:
    """The confidence at which percentiles over so many clusters have the one that is asked for."""
    tail = norm.cdf(np.sqrt(count / (count - 1)) * t.ppf((1 - confidence) / 2, count - 1))
    return float(1 - 2 * tail)


def _wilson(successes: int, count: int, confidence: float) -> tuple[float, float]:
    """Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953. SciPy's comes with a slow test."""
    rate, z = successes / count, float(ndtri((1 + confidence) / 2))
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return middle - half if successes else 0.0, middle + half if successes < count else 1.0


def larger(
    values: ArrayLike, others: ArrayLike, *, significance: float = 0.01, clusters: ArrayLike | None = None
) -> bool:
    """Whether `values` exceed `others` more often than chance explains: a one-sided sign test.

    Image by image, or cluster by cluster.
    """
    difference = np.asarray(values, dtype=float) - np.asarray(others, dtype=float)
    if clusters is not None:
        difference, _ = summed(difference, clusters)
    up, down = int((difference > 0).sum()), int((difference < 0).sum())
    return up > down and float(binomtest(up, up + down, alternative="greater").pvalue) < significance
