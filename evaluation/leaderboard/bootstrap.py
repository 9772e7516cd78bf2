"""The percentile bootstrap over images, or over clusters of them, which are resampled together then."""

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
MANY = 1000
"""So many have a mean whose quantiles are known better than any number of resamples shows."""
RESAMPLES_OF_SUMS = 1999
"""Fewer where each is a sum of many numbers an image: chance then moves an end by 6% of a standard error."""
AT_ONCE = 4_000_000
"""Draws that are held in memory."""
LOPSIDED = 0.3
"""... but where its distribution is more skewed than that: a few of them decide."""
OFTEN = 8
"""Where values come so often on average, their counts are resampled: faster than to resample the images themselves."""


def percentile_interval(totals: Numbers, sizes: Numbers, confidence: float) -> tuple[float, float]:
    """Where the mean of all images lies, given the sum of each cluster's values, not all alike, and their numbers."""
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
    """Batches (B, count) of how often each of so many images, or clusters, comes in a resample; always the same."""
    return _kept_batch(count) if count * RESAMPLES_OF_SUMS <= AT_ONCE else _batches(count)


@lru_cache(maxsize=4)
def _kept_batch(count: int) -> tuple[Numbers, ...]:
    """Of few images all resamples are one, for every row of a table."""
    return tuple(_batches(count))


def _batches(count: int) -> Iterator[Numbers]:
    rng, at_once = np.random.default_rng(0), max(1, AT_ONCE // count)
    for begin in range(0, RESAMPLES_OF_SUMS, at_once):
        rows = min(at_once, RESAMPLES_OF_SUMS - begin)
        drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(float)


def percentiles(statistic: Callable[[Numbers], Numbers], count: int, confidence: float) -> tuple[float, float]:
    """Where a `statistic` of how often each image comes, (B, count) to (B,), lies."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate([statistic(often) for often in resampled(count)]), [tail, 1 - tail])
    return float(low), float(high)


class _Resampled(NamedTuple):
    """How means of resampled values are spread around the mean of all: standard error, skewness, excess kurtosis."""

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
        """The one that a normal distribution has at z, by the expansion of Cornish and Fisher.

        1938, https://doi.org/10.2307/1400905.
        """
        by_kurtosis = self.kurtosis * (z**3 - 3 * z) / 24
        by_skewness = self.skewness * (z**2 - 1) / 6 - self.skewness**2 * (2 * z**3 - 5 * z) / 36
        return self.error * (z + by_skewness + by_kurtosis)


def _computed(totals: Numbers, sizes: Numbers, tail: float) -> tuple[float, float] | None:
    """The ends as an expansion tells them; None where the means are too skewed for one.

    A resampled mean is below an end where the sum of totals - end * sizes, whose quantiles are known, is below 0: with
    sizes that differ, that is solved for the end. Of 1,000 images it is off by a hundredth of a standard error; with
    9,999 resamples, chance moves an end by three.
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
    """How often each sum and size comes is multinomial. Remembered: rows of one system share clean scores."""
    total, values = sum(counts), np.array(kinds, dtype=np.complex128)
    drawn = np.random.default_rng(0).multinomial(total, np.array(counts) / total, size=RESAMPLES)
    low, high = np.quantile(drawn @ values.real / (drawn @ values.imag), [tail, 1 - tail])
    return float(low), float(high)
