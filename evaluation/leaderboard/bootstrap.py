"""The percentile bootstrap over images, or over clusters of images that are resampled together."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import bootstrap

Numbers = NDArray[np.float64]

RESAMPLES = 9999
"""Resamples for the interval of a mean."""
MANY = 1000
"""From this many images on, the interval of a mean is computed by a series expansion instead of resampling."""
RESAMPLES_OF_SUMS = 1999
"""Resamples of several statistics per image, fewer for speed: chance moves an end by 6% of a standard error."""
AT_ONCE = 4_000_000
"""The largest number of draws that are held in memory at once."""
LOPSIDED = 0.3
"""The absolute skewness of resampled means above which they are resampled all the same: few images decide there."""
OFTEN = 8
"""If each distinct value occurs this often on average, its counts are resampled, faster than resampling images."""


def percentile_interval(totals: Numbers, sizes: Numbers, confidence: float) -> tuple[float, float]:
    """Return the ends of the bootstrap interval of the mean over all images.

    `totals` are the sums of the values of each image or cluster, `sizes` the numbers of images in it; the means of the
    clusters must not be all equal.
    """
    tail = (1 - confidence) / 2
    computed = _computed(totals, sizes, tail) if len(totals) >= MANY else None
    if computed is not None:
        return computed
    kinds, counts = np.unique(totals + 1j * sizes, return_counts=True)
    if len(kinds) * OFTEN <= len(totals):
        return _of_counts(tuple(kinds.tolist()), tuple(counts.tolist()), tail)
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


def resampled(count: int) -> Iterable[Numbers]:
    """Return batches (B, count) of how often each image, or cluster, occurs in a resample, equal in every call."""
    return _kept_batch(count) if count * RESAMPLES_OF_SUMS <= AT_ONCE else _batches(count)


@lru_cache(maxsize=4)
def _kept_batch(count: int) -> tuple[Numbers, ...]:
    """Keep the resamples of few images, which all rows of a table share."""
    return tuple(_batches(count))


def _batches(count: int) -> Iterator[Numbers]:
    rng, at_once = np.random.default_rng(0), max(1, AT_ONCE // count)
    for begin in range(0, RESAMPLES_OF_SUMS, at_once):
        rows = min(at_once, RESAMPLES_OF_SUMS - begin)
        drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(float)


def percentiles(statistic: Callable[[Numbers], Numbers], count: int, confidence: float) -> tuple[float, float]:
    """Return the ends of the interval of a `statistic` that maps how often each image occurs, (B, count), to (B,)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate([statistic(often) for often in resampled(count)]), [tail, 1 - tail])
    return float(low), float(high)


class _Resampled(NamedTuple):
    """The distribution of means of resampled values: standard error, skewness and excess kurtosis."""

    error: float
    skewness: float
    kurtosis: float

    @classmethod
    def of(cls, values: Numbers) -> "_Resampled":
        count, away = len(values), values - values.mean()
        square = away * away
        variance = square.mean()
        third, fourth = (square * away).mean() / variance**1.5, (square * square).mean() / variance**2
        return cls(math.sqrt(variance / count), float(third) / math.sqrt(count), float(fourth - 3) / count)

    def quantile(self, z: float) -> float:
        """Return the quantile, relative to the mean, at the level of a standard normal z.

        It is the expansion of Cornish and Fisher 1938, https://doi.org/10.2307/1400905.
        """
        by_kurtosis = self.kurtosis * (z**3 - 3 * z) / 24
        by_skewness = self.skewness * (z**2 - 1) / 6 - self.skewness**2 * (2 * z**3 - 5 * z) / 36
        return self.error * (z + by_skewness + by_kurtosis)


def _computed(totals: Numbers, sizes: Numbers, tail: float) -> tuple[float, float] | None:
    """Return the ends of the interval by an expansion, or None if the means are too skewed for one.

    A resampled mean is below an end if the sum of totals - end * sizes, whose quantiles are known, is below 0; if sizes
    differ, that is solved for the end. For 1,000 images an end is off by a hundredth of a standard error; with 9,999
    resamples, chance moves it by three hundredths.
    """
    mean, size = totals.sum() / sizes.sum(), sizes.mean()
    around_mean = _Resampled.of(totals - mean * sizes)
    if abs(around_mean.skewness) > LOPSIDED:
        return None
    ends = []
    for z in (float(ndtri(tail)), -float(ndtri(tail))):
        end = mean + around_mean.quantile(z) / size
        for _ in range(0 if sizes.min() == sizes.max() else 3):
            end = mean + _Resampled.of(totals - end * sizes).quantile(z) / size
        ends.append(float(end))
    return ends[0], ends[1]


@lru_cache(maxsize=4096)
def _of_counts(kinds: tuple[complex, ...], counts: tuple[int, ...], tail: float) -> tuple[float, float]:
    """Resample the multinomial counts of pairs of sum and size. Cached: rows of one system share clean scores."""
    total, values = sum(counts), np.array(kinds, dtype=np.complex128)
    drawn = np.random.default_rng(0).multinomial(total, np.array(counts) / total, size=RESAMPLES)
    low, high = np.quantile(drawn @ values.real / (drawn @ values.imag), [tail, 1 - tail])
    return float(low), float(high)
