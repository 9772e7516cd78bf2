"""Means and intervals against closed formulas; missing data is an error."""

import math

import numpy as np
import pytest
from foolbench.core import InputError
from foolbench.evaluation.leaderboard.bootstrap import percentile_interval
from foolbench.evaluation.leaderboard.stats import estimate
from scipy.stats import t

Z = 1.959963984540054  # the 97.5% quantile of the normal distribution


def wilson(k, n):
    p = k / n
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return middle - half, middle + half


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 24), (7, 24), (24, 24), (512, 1024), (3, 1000)])
def test_proportions_have_wilsons_interval(k, n):
    found = estimate([1.0] * k + [0.0] * (n - k), proportion=True)
    assert found.mean == pytest.approx(k / n)
    assert (found.low, found.high) == pytest.approx(wilson(k, n), abs=1e-12)
    assert 0 <= found.low <= found.mean <= found.high <= 1


def test_the_bootstrap_approaches_the_normal_interval():
    values = np.random.default_rng(3).beta(2, 5, size=2000)
    found = estimate(values, proportion=False)
    half = Z * values.std() / math.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_means_over_draws_are_no_proportion_any_more():
    values = np.random.default_rng(0).integers(0, 11, size=200) / 10
    assert estimate(values, proportion=True) == estimate(values, proportion=False)
    binary = np.round(values)
    assert estimate(binary, proportion=True) != estimate(binary, proportion=False)


def test_the_bootstrap_does_not_depend_on_anything_but_the_values():
    values = np.random.default_rng(1).uniform(size=50)
    assert estimate(values, proportion=False) == estimate(list(values), proportion=False)


@pytest.mark.parametrize("proportion", [True, False])
@pytest.mark.parametrize("values", [[0.3], [0.3] * 12])
def test_one_value_and_constant_values_are_their_own_mean(values, proportion):
    found = estimate(values, proportion=proportion)
    assert found.mean == pytest.approx(0.3)
    assert found.low <= found.mean + 1e-12
    assert found.high >= found.mean - 1e-12


@pytest.mark.parametrize("proportion", [True, False])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_values_that_are_all_alike_leave_room_for_those_not_seen(value, proportion):
    found = estimate([value] * 12, proportion=proportion)
    no_success, _ = wilson(12, 12)  # the highest share of images without one, where all of twelve have one
    assert (found.low, found.high) == pytest.approx((value * no_success, 1 - (1 - value) * no_success))
    assert estimate([value], proportion=False)[1:] == (0, 1)


def test_few_images_have_wider_percentiles():
    """Those of eight images at 95% hold the mean in less than 90 of 100 cases; Student's further out are."""
    rng, held, plainly = np.random.default_rng(5), 0, 0
    for _ in range(200):
        sample = 0.5 + 0.05 * rng.normal(size=8).clip(-3, 3)
        found = estimate(sample, proportion=False)
        low, high = percentile_interval(sample, np.ones(8), 0.95)
        held += found.low <= 0.5 <= found.high
        plainly += low <= 0.5 <= high
    assert plainly < 0.9 * 200 < held


@pytest.mark.parametrize("proportion", [True, False])
def test_no_values_are_an_error_not_zero(proportion):
    with pytest.raises(InputError, match="at least one"):
        estimate([], proportion=proportion)


@pytest.mark.parametrize("proportion", [True, False])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_an_error(bad, proportion):
    with pytest.raises(InputError, match="finite"):
        estimate([0.0, 1.0, bad], proportion=proportion)


def test_clusters_of_one_image_change_nothing():
    for values in (np.arange(40) % 2, np.random.default_rng(0).uniform(size=40)):
        assert estimate(values, proportion=True, clusters=range(40)) == estimate(values, proportion=True)


@pytest.mark.parametrize("proportion", [True, False])
def test_copies_of_an_image_say_nothing_new(proportion):
    """However often each of many images comes, the interval is that of the images."""
    values = np.random.default_rng(5).uniform(size=400)
    values = values.round() if proportion else values
    once = estimate(values, proportion=proportion)
    copied = estimate(np.repeat(values, 9), proportion=proportion, clusters=np.repeat(np.arange(400), 9))
    assert copied == pytest.approx(once, abs=0.005)
    naive = estimate(np.repeat(values, 9), proportion=proportion)
    assert copied.high - copied.low == pytest.approx(3 * (naive.high - naive.low), rel=0.1)


def test_few_clusters_have_students_interval():
    """Sizes alike, means normal: the mean of the clusters' means, within rounding by the bootstrap of so few."""
    means = 0.5 + 0.1 * np.random.default_rng(2).normal(size=10).clip(-3, 3)
    found = estimate(np.repeat(means, 6), proportion=False, clusters=np.repeat(np.arange(10), 6))
    half = t.ppf(0.975, 9) * means.std(ddof=1) / math.sqrt(10)
    assert found.mean == pytest.approx(means.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


@pytest.mark.parametrize(("value", "successes"), [(0.0, 0), (1.0, 6)])
def test_where_all_images_agree_each_cluster_counts_once(value, successes):
    found = estimate([value] * 60, proportion=True, clusters=np.arange(60) // 10)
    assert (found.low, found.high) == pytest.approx(wilson(successes, 6), abs=1e-12)


def test_one_cluster_says_nothing_about_others():
    assert estimate([0.0, 1.0, 1.0], proportion=True, clusters=[4, 4, 4])[1:] == (0, 1)


def test_large_clusters_weigh_more():
    found = estimate([1.0] * 90 + [0.0] * 10, proportion=True, clusters=[0] * 90 + [1] * 5 + [2] * 5)
    assert (found.mean, found.low, found.high) == (0.9, 0.0, 1.0)
