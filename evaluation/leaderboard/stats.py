"""Means with 95% intervals. Missing data is an error, never 0.

Images that depend on each other, as crops of one photograph, are a cluster: what is resampled are clusters then.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, bootstrap, norm, t

from ...core.errors import InputError

CONFIDENCE = 0.95
RESAMPLES = 9999
OFTEN = 8
"""Where values come so often on average, their counts are resampled: faster than to resample the images themselves."""

Numbers = NDArray[np.float64]


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
    binary = proportion and bool(np.isin(sample, (0, 1)).all())
    totals, sizes = (sample, np.ones_like(sample)) if clusters is None else summed(sample, clusters)
    if len(totals) < len(sample):
        low, high = _of_clusters(totals, sizes, confidence, binary=binary)
    elif binary:
        low, high = _wilson(int(sample.sum()), sample.size, confidence)
    else:
        low, high = _bootstrapped(totals, sizes, confidence)
    return Estimate(float(sample.mean()), float(low), float(high))


def summed(sample: Numbers, clusters: ArrayLike) -> tuple[Numbers, Numbers]:
    """The sum of each cluster's values, and how many they are."""
    _, group = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(group, weights=sample).astype(float), np.bincount(group).astype(float)


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
    tail = norm.cdf(np.sqrt(count / (count - 1)) * t.ppf((1 - confidence) / 2, count - 1))
    return _bootstrapped(totals, sizes, float(1 - 2 * tail))


def _wilson(successes: int, count: int, confidence: float) -> tuple[float, float]:
    interval = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    return interval.low, interval.high


def _bootstrapped(totals: Numbers, sizes: Numbers, confidence: float) -> tuple[float, float]:
    """The percentile interval of the mean, where sums over `sizes` images each are resampled together."""
    means = totals / sizes
    if (means == means[0]).all():
        return means[0], means[0]  # nothing to resample
    kinds, counts = np.unique(np.stack([totals, sizes], axis=1), axis=0, return_counts=True)
    if len(kinds) * OFTEN <= len(totals):
        return _of_counts(tuple(map(tuple, kinds.tolist())), tuple(counts.tolist()), confidence)
    drawn = bootstrap(
        (totals, sizes),
        lambda totals, sizes, axis: totals.sum(axis) / sizes.sum(axis),
        paired=True,
        confidence_level=confidence,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
        batch=100,
    )
    return drawn.confidence_interval.low, drawn.confidence_interval.high


@lru_cache(maxsize=4096)
def _of_counts(
    kinds: tuple[tuple[float, float], ...], counts: tuple[int, ...], confidence: float
) -> tuple[float, float]:
    """How often each sum and size comes is multinomial. Remembered: rows of one system share clean scores."""
    total = sum(counts)
    sums, sizes = np.array(kinds).T
    drawn = np.random.default_rng(0).multinomial(total, np.array(counts) / total, size=RESAMPLES)
    low, high = np.quantile(drawn @ sums / (drawn @ sizes), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


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
