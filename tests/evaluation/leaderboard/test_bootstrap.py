"""The percentile interval against distributions of resampled means that are known exactly."""

import numpy as np
import pytest
from foolbench.evaluation.leaderboard.bootstrap import MANY, _computed, _of_counts, percentile_interval
from scipy.stats import binom, bootstrap

RNG = np.random.default_rng(0)


def of_images(values, confidence=0.95):
    return percentile_interval(values, np.ones_like(values), confidence)


def convolved(values, levels, tail):
    """The quantiles of means of as many drawings from multiples of 1 / levels: their distribution, by convolution."""
    count = len(values)
    shares = np.bincount(np.rint(values * levels).astype(int), minlength=levels + 1) / count
    length = 1 << (count * levels + 1).bit_length()
    chances = np.fft.irfft(np.fft.rfft(shares, length) ** count, length)
    return np.searchsorted(chances.cumsum(), [tail, 1 - tail]) / (count * levels)


@pytest.mark.parametrize("confidence", [0.95, 0.999])
@pytest.mark.parametrize("count", [1000, 5000, 50_000])
@pytest.mark.parametrize("rates", ["even", "mostly robust", "rarely fooled"])
def test_means_over_ten_draws(rates, count, confidence):
    chance = {"even": RNG.uniform(size=count), "mostly robust": RNG.beta(0.1, 2, count), "rarely fooled": 0.3}[rates]
    values = RNG.binomial(10, chance * (RNG.uniform(size=count) < (0.03 if rates == "rarely fooled" else 1))) / 10
    error = values.std() / np.sqrt(count)
    exact = convolved(values, 10, (1 - confidence) / 2)
    assert of_images(values, confidence) == pytest.approx(exact, abs=0.03 * error + 0.1 / count)


@pytest.mark.parametrize("successes", [50, 500, 990])
def test_resampled_successes_are_binomial(successes):
    values = np.repeat([1.0, 0.0], [successes, 1000 - successes])
    exact = binom.ppf([0.025, 0.975], 1000, successes / 1000) / 1000
    assert of_images(values) == pytest.approx(exact, abs=0.7 / 1000)  # which come in steps of an image


@pytest.mark.parametrize("alike", [True, False])
def test_clusters_of_many_sizes_are_resampled_whole(alike):
    sizes = np.full(2000, 6.0) if alike else RNG.integers(1, 20, 2000).astype(float)
    totals = sizes * RNG.beta(2, 5, 2000)
    drawn = bootstrap(
        (totals, sizes),
        lambda t, s, axis: t.sum(axis) / s.sum(axis),
        paired=True,
        batch=100,
        method="percentile",
        rng=1,
    )
    found = percentile_interval(totals, sizes, 0.95)
    assert found == pytest.approx(drawn.confidence_interval, abs=0.12 * drawn.standard_error)


def test_where_a_few_images_decide_they_are_resampled():
    values = np.zeros(50_000)
    values[:5] = [0.1, 0.1, 0.2, 0.5, 1.0]
    assert _computed(values, np.ones_like(values), 0.025) is None
    exact = convolved(values, 10, 0.025)
    assert of_images(values) == pytest.approx(exact, abs=0.05 * values.std() / np.sqrt(len(values)) + 1e-6)


def test_few_images_are_resampled():
    """Numbers that were published before intervals were computed stay what they are."""
    values = RNG.integers(0, 11, MANY - 1) / 10
    kinds, counts = np.unique(values + 1j, return_counts=True)
    assert of_images(values) == _of_counts(tuple(kinds.tolist()), tuple(counts.tolist()), (1 - 0.95) / 2)
