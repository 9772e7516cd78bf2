"""Paired tests, intervals and numbers of images against published numbers, closed forms and enumeration."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from foolbench.core import InputError
from foolbench.evaluation.leaderboard.paired import (
    difference,
    difference_of_values,
    hoeffding,
    holm,
    images_needed,
    mcnemar,
    permutation,
    tango,
)
from foolbench.evaluation.leaderboard.stats import summed
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multinomial

Z = 1.959963984540054  # the 97.5% quantile of the normal distribution
Z_POWER = 0.8416212335729143  # the 80% quantile


def binary(both, only_first, only_second, neither):
    """Two lists of outcomes with these counts."""
    first = [1.0] * (both + only_first) + [0.0] * (only_second + neither)
    second = [1.0] * both + [0.0] * only_first + [1.0] * only_second + [0.0] * neither
    return first, second


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        # Fagerland, Lydersen and Laake 2014, https://doi.org/10.1002/sim.6148, by Tango's method
        ((1, 1, 7, 12), (0.026, 0.517)),
        ((59, 6, 16, 80), (0.0054, 0.1240)),
    ],
)
def test_published_intervals_of_proportions(counts, interval):
    found = difference(*binary(*counts), proportion=True)
    assert (found.low, found.high) == pytest.approx(interval, abs=5e-4)
    assert (found.only_first, found.only_second) == counts[1:3]
    assert found.difference == pytest.approx((counts[2] - counts[1]) / sum(counts))


def likelihood_score(up, down, count, supposed):
    """The score statistic at a supposed difference, its other parameter found by maximising the likelihood."""

    def unlikely(share):  # of `down`
        parts = share + supposed, share, 1 - 2 * share - supposed
        return -sum(n * math.log(p) for n, p in zip((up, down, count - up - down), parts, strict=True) if n)

    low, high = max(0, -supposed) + 1e-12, (1 - supposed) / 2 - 1e-12
    share = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (up - down - count * supposed) / math.sqrt(count * (2 * share + supposed - supposed**2))


@pytest.mark.parametrize(("up", "down", "count"), [(7, 1, 21), (16, 6, 161), (3, 3, 24), (20, 9, 31)])
def test_the_ends_of_the_interval_are_where_the_score_test_begins_to_reject(up, down, count):
    low, high = tango(up, down, count)
    assert likelihood_score(up, down, count, low) == pytest.approx(Z, abs=1e-3)
    assert likelihood_score(up, down, count, high) == pytest.approx(-Z, abs=1e-3)


@pytest.mark.parametrize("count", [1, 24, 1000])
def test_the_interval_where_no_image_differs_or_all_do(count):
    unseen = Z**2 / (count + Z**2)
    assert tango(0, 0, count) == pytest.approx((-unseen, unseen))
    assert tango(count, 0, count) == pytest.approx((1 - 2 * unseen, 1))
    assert tango(0, count, count) == pytest.approx((-1, 2 * unseen - 1))


@pytest.mark.parametrize("shares", [(0.1, 0.05), (0.3, 0.3), (0.4, 0.02)])
def test_the_interval_covers_the_truth_19_times_of_20(shares):
    """Over all that 40 images can show, each as often as it comes."""
    count, (up, down) = 40, shares
    covered = 0.0
    for n_up, n_down in product(range(count + 1), repeat=2):
        how_often = multinomial.pmf([n_up, n_down, count - n_up - n_down], count, [up, down, 1 - up - down])
        if how_often > 1e-7:
            low, high = tango(n_up, n_down, count)
            covered += how_often * (low <= up - down <= high)
    assert 0.93 <= covered <= 0.98


def test_a_published_mcnemar_test():
    """Armitage and Berry 1994, page 127: two media for one bacterium, which grew on one alone in 12 and 2 of 50."""
    found = difference(*binary(20, 12, 2, 16), proportion=True)
    assert found.test == "mcnemar"
    assert found.p == pytest.approx(0.0129, abs=5e-5)


@pytest.mark.parametrize(("up", "down"), [(0, 0), (1, 0), (5, 5), (9, 2), (0, 12)])
def test_mcnemar_by_counting_the_ways(up, down):
    count, least = up + down, min(up, down)
    ways = sum(math.comb(count, k) for k in range(least + 1))
    assert mcnemar(up, down) == pytest.approx(min(1, 2 * ways / 2**count))


def test_the_permutation_test_by_all_permutations():
    for seed in range(5):
        changes = np.random.default_rng(seed).normal(0.4, 1, size=11)
        signs = np.array(list(product((-1, 1), repeat=len(changes))))
        exact = (abs(signs @ changes) >= abs(changes.sum()) - 1e-9).mean()
        assert permutation(changes) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9999) + 1e-4)


def test_a_plain_difference_stays_one_among_many_tests():
    """Drawings alone end at p = 0.0001 or 0.0005, which a correction for 1,000 tests makes 0.1 and 0.5."""
    rng = np.random.default_rng(0)
    first = rng.uniform(0.0, 0.3, size=60)
    second = rng.uniform(0.6, 0.9, size=60)
    sums = [np.stack([rates, np.ones(60)], axis=1) for rates in (first, second)]
    found = difference(first, second, proportion=False)
    of_sums = difference_of_values(*sums, lambda totals: totals[..., 0] / totals[..., 1])
    assert holm([found.p] * 1000)[0] < 1e-6
    assert of_sums.p < 5e-5


def test_no_sum_of_random_signs_is_likelier_than_its_bound():
    for seed in range(20):
        changes = np.random.default_rng(seed).normal(1, 1, size=11)
        signs = np.array(list(product((-1, 1), repeat=len(changes))))
        exact = (abs(signs @ changes) >= abs(changes.sum()) - 1e-9).mean()
        assert exact <= hoeffding(changes)


def test_changes_of_one_size_are_mcnemars():
    assert permutation([0.3] * 9 + [-0.3] * 2 + [0.0] * 30) == mcnemar(9, 2)
    assert permutation([0.0] * 5) == 1


def test_batches_change_no_p(monkeypatch):
    changes = np.random.default_rng(3).normal(0.1, 1, size=60)
    whole = permutation(changes)
    monkeypatch.setattr("foolbench.evaluation.leaderboard.paired.BATCH", 1000)
    assert permutation(changes) == whole


def draws(rng, count, shift):
    """Two systems that are random: means over five draws on the same images, of which some are hard."""
    hard = rng.beta(0.5, 0.5, size=count)
    one, two = (rng.binomial(5, chance) / 5 for chance in (hard, (1 - shift) * hard))
    return one, two, -shift * 0.5


def test_of_means_over_draws_the_test_is_honest_and_the_interval_covers():
    rng = np.random.default_rng(11)
    rejected, covered = 0, 0
    for _ in range(100):
        one, two, _ = draws(rng, 100, 0.0)
        rejected += permutation(two - one) < 0.05
        one, two, truth = draws(rng, 100, 0.3)
        found = difference(one, two, proportion=True)
        covered += found.low <= truth <= found.high
        assert (found.test, found.only_first) == ("permutation", None)
    assert rejected <= 13  # 5 and 95 are expected, with a standard deviation of 2
    assert 87 <= covered <= 100


@pytest.mark.parametrize("proportion", [True, False])
def test_clusters_of_one_image_change_nothing(proportion):
    first, second = binary(9, 12, 3, 10)
    if not proportion:
        first = np.asarray(first) * 0.5
    alone = difference(first, second, proportion=proportion)
    assert difference(first, second, proportion=proportion, clusters=range(34)) == alone


def test_copies_of_an_image_say_nothing_new():
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 2, size=(2, 60)).astype(float)
    once = difference(first, second, proportion=True)
    numbers = np.repeat(np.arange(60), 9)
    copied = difference(np.repeat(first, 9), np.repeat(second, 9), proportion=True, clusters=numbers)
    assert copied.test == "permutation"
    assert copied.p == once.p
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=0.02)
    assert copied.needed == pytest.approx(9 * once.needed, abs=9)


def test_one_cluster_says_nothing_about_others():
    found = difference([0.0, 1.0, 1.0], [1.0, 1.0, 1.0], proportion=True, clusters=[4, 4, 4])
    assert (found.low, found.high, found.p) == (-1, 1, 1)


@pytest.mark.parametrize("change", [-1.0, 0.0, 1.0])
def test_equal_changes_of_independent_clusters_have_the_interval_of_as_many_images(change):
    first = np.full(30, max(0.0, -change))
    found = difference(first, first + change, proportion=True, clusters=np.arange(30) // 3)
    alone = difference(first[:10], first[:10] + change, proportion=True)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    assert found.p == alone.p


def test_equal_means_over_draws_differ_by_nothing_that_is_certain():
    found = difference([0.3] * 20, [0.1 + 0.2] * 20, proportion=True)  # which rounding alone tells apart
    assert (found.difference, found.p, found.needed) == (0, 1, None)
    assert -found.low == found.high == pytest.approx(Z**2 / (20 + Z**2))


def test_the_images_that_are_needed_show_half_of_the_difference_4_times_of_5():
    """The power of the exact test at that number, over all numbers of images that may differ."""
    changes = np.array([1.0] * 40 + [-1.0] * 20 + [0.0] * 140)
    count = images_needed(changes)
    differ, half = 0.3, 0.05
    assert count == math.ceil((Z * math.sqrt(differ) + Z_POWER * math.sqrt(differ - half**2)) ** 2 / half**2)
    numbers = np.arange(count + 1)
    often = binom.pmf(numbers, count, differ)
    power = 0.0
    for number in numbers[often > 1e-6]:
        ups = np.arange(number + 1)
        rejected = 2 * binom.cdf(np.minimum(ups, number - ups), number, 0.5) < 0.05
        power += often[number] * binom.pmf(ups[rejected], number, (differ + half) / 2 / differ).sum()
    assert 0.76 <= power <= 0.81


def test_no_number_of_images_shows_nothing():
    assert images_needed([0.0, 1.0, -1.0]) is None


def test_of_clusters_whole_ones_are_needed():
    totals, sizes = summed(np.array([1.0, 1, 0, 0, 1, 0, -1, 0]), [0, 0, 1, 1, 2, 2, 3, 3])
    assert images_needed(totals, sizes) == pytest.approx(2 * images_needed(totals / 2), abs=2)


def test_holm_by_testing_every_set_of_hypotheses():
    """A hypothesis falls where Bonferroni's test rejects every set that holds it; p is the level at which it does."""
    p = [0.04, 0.001, 0.03, 0.2, 0.03]
    sets = [chosen for size in range(1, 6) for chosen in combinations(range(5), size)]
    closed = [max(min(1, len(s) * min(p[i] for i in s)) for s in sets if one in s) for one in range(5)]
    assert holm(p) == pytest.approx(closed)
    assert holm([]) == []
    assert holm([0.3]) == [0.3]


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1.0], [1.0, 0.0]), ([math.nan], [0.0]), ([0.0], [1.5]), ([[1.0]], [[1.0]])]
)
def test_what_cannot_be_compared(first, second):
    with pytest.raises(InputError, match="Expected outcomes"):
        difference(first, second, proportion=False)


def test_what_rounding_leaves_of_no_difference_needs_no_number_of_images():
    assert images_needed([0.1, 0.2, -0.3]) is None
