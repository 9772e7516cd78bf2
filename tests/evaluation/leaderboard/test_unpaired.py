"""Newcombe's interval of a difference, as he printed it, and a p that agrees with it."""

import pytest
from foolbench.evaluation.leaderboard.stats import Estimate, estimate
from foolbench.evaluation.leaderboard.unpaired import unpaired


def of(successes, count):
    return estimate([1.0] * successes + [0.0] * (count - successes), proportion=True)


@pytest.mark.parametrize(
    ("second", "first", "low", "high"),
    [  # Newcombe 1998, Table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_the_interval_is_the_one_in_the_paper(second, first, low, high):
    found = unpaired(of(*first), of(*second))
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)
    assert (found.p < 0.05) == (found.low > 0)


def test_without_a_difference_nothing_is_seen():
    assert unpaired(of(3, 10), of(3, 10)).p == 1


def test_p_is_the_same_in_both_directions():
    one, other = Estimate(0.2, 0.1, 0.35), Estimate(0.5, 0.4, 0.6)
    assert unpaired(one, other).p == pytest.approx(unpaired(other, one).p)


def test_intervals_without_a_width_prove_nothing():
    """As of two tables whose errors are rounded to no digits that vary."""
    assert unpaired(Estimate(50.0, 50.0, 50.0), Estimate(50.01, 50.01, 50.01)).p == 1
