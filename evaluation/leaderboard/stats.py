"""Means with 95% intervals. Missing data is an error, never 0."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, bootstrap

from ...core.errors import InputError

CONFIDENCE = 0.95


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
        rng = np.random.default_rng(0)
        drawn = bootstrap((sample,), np.mean, confidence_level=confidence, method="percentile", rng=rng, batch=100)
        low, high = drawn.confidence_interval
    return Estimate(mean, float(low), float(high))


def larger(values: ArrayLike, others: ArrayLike, *, significance: float = 0.01) -> bool:
    """Whether `values` exceed `others`, image by image, more often than chance explains: a one-sided sign test."""
    difference = np.asarray(values, dtype=float) - np.asarray(others, dtype=float)
    up, down = int((difference > 0).sum()), int((difference < 0).sum())
    return up > down and float(binomtest(up, up + down, alternative="greater").pvalue) < significance
