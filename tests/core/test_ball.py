"""Iterates are brought to the nearest point of ball and box, and moved as far uphill as the geometry allows."""

import numpy as np
import pytest
import torch
from foolbench.core.ball import Ball
from foolbench.core.norms import size
from scipy.optimize import linprog, minimize

EPS = {"linf": 0.1, "l2": 0.5, "l1": 1.0, "l0": 4}


def images(count=6, shape=(1, 2, 5), seed=0):
    x = torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))
    x[0] = x[0].round()  # black and white only
    return x


def noise(like, scale=1.0, seed=1):
    return scale * torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", EPS)
def test_projection_happens_in_place_and_ends_inside(norm):
    x = images()
    z = x + noise(x)
    where = z.data_ptr()
    projected = Ball(x, norm, EPS[norm]).project_(z)
    assert projected is z
    assert z.data_ptr() == where
    assert (size(z - x, norm) <= EPS[norm] + 1e-6).all()
    assert 0 <= z.min() <= z.max() <= 1


@pytest.mark.parametrize("norm", EPS)
def test_rows_are_independent(norm):
    x, rows = images(), torch.tensor([4, 0])
    z, gradient = x + noise(x), noise(x, seed=2)
    ball = Ball(x, norm, EPS[norm])
    assert torch.equal(ball[rows].project_(z[rows]), ball.project_(z.clone())[rows])
    if norm != "l0":
        alone = ball[rows].ascend_(x[rows], gradient[rows], 0.05)
        assert torch.equal(alone, ball.ascend_(x.clone(), gradient.clone(), 0.05)[rows])


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("scale", [0.05, 0.3, 3.0])
def test_projection_is_the_nearest_point_of_ball_and_box(norm, scale):
    x = images()
    wild = x + noise(x, scale)
    ours = Ball(x, norm, EPS[norm]).project_(wild.clone())
    for row in range(len(x)):
        nearest = _nearest(wild[row].flatten().double(), x[row].flatten().double(), norm)
        torch.testing.assert_close(ours[row].flatten().double(), nearest, rtol=0, atol=1e-4)


def _nearest(wild, x, norm):
    """By a general solver: z = x + up - down with up, down >= 0."""
    n, eps = len(x), EPS[norm]
    cap = eps if norm == "linf" else 1.0
    bounds = [(0, min(cap, float(1 - v))) for v in x] + [(0, min(cap, float(v))) for v in x]
    budget = [] if norm == "linf" else [{"type": "ineq", "fun": lambda m: eps - m.sum()}]
    target = (wild - x).numpy()

    def distance(moves):
        off = moves[:n] - moves[n:] - target
        return (off**2).sum(), 2 * np.concatenate([off, -off])

    found = minimize(
        distance, [0.0] * (2 * n), jac=True, bounds=bounds, constraints=budget, method="SLSQP", options={"ftol": 1e-12}
    )
    return x + torch.tensor(found.x[:n] - found.x[n:])


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("length", [0.02, 0.8])
def test_a_step_from_the_centre_gains_what_a_linear_program_gains(norm, length):
    x = images()
    gradient = noise(x, seed=3)
    gradient[:, :, 0, :2] = 0
    moved = Ball(x, norm, length).ascend_(x.clone(), gradient.clone(), length)
    for row in range(len(x)):
        start, slope = x[row].flatten().double(), gradient[row].flatten().double()
        gained = float((moved[row].flatten().double() - start) @ slope)
        assert gained == pytest.approx(_best_gain(start, slope, norm, length), abs=1e-5)


def _best_gain(x, slope, norm, length):
    n = len(x)
    cap = length if norm == "linf" else 1.0
    bounds = [(0, min(cap, float(1 - v))) for v in x] + [(0, min(cap, float(v))) for v in x]
    budget = {} if norm == "linf" else {"A_ub": [[1.0] * (2 * n)], "b_ub": [length]}
    return -linprog(torch.cat([-slope, slope]).numpy(), bounds=bounds, **budget).fun


def test_an_l2_step_has_its_length():
    x = torch.full((4, 1, 3, 3), 0.5)
    moved = Ball(x, "l2", 0.5).ascend_(x.clone(), noise(x), 0.2)
    torch.testing.assert_close(size(moved - x, "l2"), torch.full((4,), 0.2))


def test_a_pixel_at_the_wall_does_not_hold_up_an_l1_step():
    x = torch.tensor([[[[1.0, 0.5, 0.0]]]])
    gradient = torch.tensor([[[[9.0, 1.0, -5.0]]]])
    moved = Ball(x, "l1", 1.0).ascend_(x.clone(), gradient, 0.3)
    torch.testing.assert_close(moved, torch.tensor([[[[1.0, 0.8, 0.0]]]]))
