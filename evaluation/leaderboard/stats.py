"""Means with 95% intervals. Missing data is an error, never 0."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, bootstrap

from ...core.errors import InputError

CONFIDENCE = 0.95
RESAMPLES = 9999
OFTEN = 8
"""Where values come so often on average, their counts are resampled: faster than to resample the images themselves."""


class Estimate(NamedTuple):
    """A mean over images and the ends of its 95% interval."""

    mean: float
    low: float
    high: float


def estimate(values: ArrayLike, *, proportion: bool, confidence: float = CONFIDENCE) -> Estimate:
    """Mean over images and its interval.

    Wilson's for a `proportion` whose images each scored 0 or 1; else the image-level percentile bootstrap (also for the
    mean over several draws of a randomized system). Raises InputError for no values or values that are not finite.
    """
    sample = np.asarray(values, dtype=float)
    if not sample.size:
        raise InputError("Expected at least one score: the mean of no images does not exist.")
    if not np.isfinite(sample).all():
        raise InputError(f"Expected finite scores, got {(~np.isfinite(sample)).sum()} that are not.")
    mean = float(sample.mean())
    if proportion and np.isin(sample, (0, 1)).all():
        low, high = binomtest(int(sample.sum()), sample.size).proportion_ci(confidence, method="wilson")
    elif sample.size == 1 or (sample == sample[0]).all():
        low = high = mean  # nothing to resample
    else:
        low, high = _bootstrapped(sample, confidence)
    return Estimate(mean, float(low), float(high))


def _bootstrapped(sample: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The percentile interval of the mean over resampled images."""
    values, counts = np.unique(sample, return_counts=True)
    if len(values) * OFTEN <= len(sample):
        return _of_counts(tuple(values.tolist()), tuple(counts.tolist()), confidence)
    rng = np.random.default_rng(0)
    drawn = bootstrap(
        (sample,), np.mean, confidence_level=confidence, n_resamples=RESAMPLES, method="percentile", rng=rng, batch=100
    )
    return drawn.confidence_interval.low, drawn.confidence_interval.high


@lru_cache(maxsize=4096)
def _of_counts(values: tuple[float, ...], counts: tuple[int, ...], confidence: float) -> tuple[float, float]:
    """How often each value comes in a resample is multinomial. Remembered: rows of one system share clean scores."""
    total = sum(counts)
    drawn = np.random.default_rng(0).multinomial(total, np.array(counts) / total, size=RESAMPLES) @ np.array(values)
    low, high = np.quantile(drawn / total, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def larger(values: ArrayLike, others: ArrayLike, *, significance: float = 0.01) -> bool:
    """Whether `values` exceed `others`, image by image, more often than chance explains: a one-sided sign test."""
    difference = np.asarray(values, dtype=float) - np.asarray(others, dtype=float)
    up, down = int((difference > 0).sum()), int((difference < 0).sum())
    return up > down and float(binomtest(up, up + down, alternative="greater").pvalue) < significance
