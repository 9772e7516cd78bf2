"""Labels that would lie on each other are moved apart, by as little as can be."""

import numpy as np
import pytest
from foolbench.evaluation.board.drawing import spread
from scipy.optimize import minimize


def test_what_is_far_apart_stays_where_it_is():
    assert spread([8.0, 1.0, 4.0], 2.0, 0.0, 10.0).tolist() == [8.0, 1.0, 4.0]
    assert spread([], 2.0, 0.0, 10.0).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_nearest_that_keeps_the_gap(seed):
    values = np.random.default_rng(seed).uniform(20, 30, 6)
    order = np.argsort(values)
    gaps = {"type": "ineq", "fun": lambda at: np.diff(at[order]) - 2.0}
    expected = minimize(lambda at: ((at - values) ** 2).sum(), values, constraints=[gaps], tol=1e-12).x
    assert spread(values, 2.0, 0.0, 100.0) == pytest.approx(expected, abs=1e-4)


def test_it_stays_within_the_ends():
    found = spread([0.1, 0.2, 0.3], 2.0, 0.0, 10.0)
    assert found.tolist() == pytest.approx([0.0, 2.0, 4.0])
