"""The geometry of the balls: projections are the nearest points, steps the steepest ones, random points uniform."""

import math

import pytest
import torch
from foolbench.core import ConfigError, Draws
from foolbench.core.norms import check_norm, dual_size, fill_in_turn, project, random_point, size, steepest
from scipy import stats

EPS = 0.3
ROUND = ["linf", "l2"]


def some(count: int, dimensions: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def test_size_by_hand():
    delta = torch.tensor([[[[3.0, -4.0]]], [[[0.0, 0.0]]]])
    assert size(delta, "linf").tolist() == [4, 0]
    assert size(delta, "l2").tolist() == [5, 0]
    assert size(delta, "l1").tolist() == [7, 0]
    assert size(delta, "l0").tolist() == [2, 0]


@pytest.mark.parametrize("norm", ROUND)
@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 100.0])
def test_projection_is_inside_idempotent_and_leaves_the_inside_alone(norm, scale):
    delta = some(50, 12, scale)
    projected = project(delta, norm, EPS)
    assert (size(projected, norm) <= EPS * (1 + 1e-6)).all()
    torch.testing.assert_close(project(projected, norm, EPS), projected, rtol=1e-6, atol=1e-8)
    inside = size(delta, norm) <= EPS
    assert torch.equal(projected[inside], delta[inside])


@pytest.mark.parametrize("norm", ROUND)
def test_projection_is_the_nearest_point(norm):
    # p is the projection of d onto a convex set exactly where <d - p, q - p> <= 0 for every q of the set
    delta = some(40, 3, 0.5)
    nearest = project(delta, norm, EPS)
    ball = random_point(Draws.of(0, samples=range(2000)), (3,), norm, EPS)
    products = torch.einsum("nd,nqd->nq", delta - nearest, ball[None] - nearest[:, None])
    assert products.max() <= 1e-6
    assert (delta - nearest).norm(dim=1).max() > 0.1, "nothing was projected"


@pytest.mark.parametrize("norm", ROUND)
def test_steepest_attains_the_dual_norm(norm):
    gradient = some(50, 8)
    direction = steepest(gradient, norm)
    torch.testing.assert_close(size(direction, norm), torch.ones(50))
    attained = (gradient * direction).sum(dim=1)
    torch.testing.assert_close(attained.double(), dual_size(gradient, norm))
    rivals = random_point(Draws.of(1, samples=range(500)), (8,), norm, 1.0)
    assert (gradient @ rivals.T <= attained[:, None] + 1e-6).all()


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", math.inf)])
@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_dual_size_at_every_scale(norm, dual, scale):
    gradient = some(50, 8).reshape(50, 2, 2, 2)
    expected = torch.linalg.vector_norm(gradient.flatten(1).double(), ord=dual, dim=1)
    torch.testing.assert_close(dual_size(gradient * scale, norm) / scale, expected, rtol=1e-6, atol=0)
    assert dual_size(torch.zeros(1, 3), norm) == 0


def test_amounts_are_taken_in_turn():
    amounts, priority = torch.tensor([[1.0, 2, 3], [1, 2, 3]]), torch.tensor([[5.0, 9, 7], [2, 1, 2]])
    assert fill_in_turn(amounts, priority, 4.0).tolist() == [[0, 2, 2], [1, 0, 3]]
    assert fill_in_turn(amounts, priority, torch.tensor([[9.0], [0.5]])).tolist() == [[1, 2, 3], [0.5, 0, 0]]


@pytest.mark.parametrize("norm", ROUND)
@pytest.mark.parametrize("scale", [1e-25, 1e-14, 1e-6, 1e6, 1e25])
def test_steepest_does_not_depend_on_the_size_of_the_gradient(norm, scale):
    # a confident network has gradients of 1e-14 and less: an attack that then makes no step looks like robustness
    gradient = some(5, 8)
    torch.testing.assert_close(steepest(gradient * scale, norm), steepest(gradient, norm), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ROUND)
def test_a_zero_row_stays_zero_and_harms_no_other(norm):
    rows = torch.stack([torch.zeros(6), some(1, 6)[0]])
    for function in (lambda d: steepest(d, norm), lambda d: project(d, norm, EPS)):
        result = function(rows)
        assert torch.equal(result[0], torch.zeros(6))
        torch.testing.assert_close(result[1], function(rows[1:])[0])


@pytest.mark.parametrize("dimensions", [2, 3, 12])
def test_random_l2_point_has_a_uniform_radius_to_the_power_of_the_dimension(dimensions):
    points = random_point(Draws.of("radius", samples=range(4000)), (dimensions,), "l2", EPS)
    assert size(points, "l2").max() <= EPS * (1 + 1e-6)
    quantiles = (size(points, "l2").double() / EPS) ** dimensions
    assert stats.kstest(quantiles.numpy(), "uniform").pvalue > 1e-3


def test_random_l2_point_has_a_uniform_direction():
    points = steepest(random_point(Draws.of("direction", samples=range(4000)), (3, 1, 1), "l2", EPS), "l2")
    for axis in range(3):  # Archimedes: each coordinate of a uniform point of the sphere is uniform
        assert stats.kstest(points[:, axis].flatten().numpy(), "uniform", (-1, 2)).pvalue > 1e-3


def test_random_linf_point_is_uniform_in_the_cube():
    points = random_point(Draws.of("cube", samples=range(2000)), (2, 3, 4), "linf", EPS)
    assert points.shape == (2000, 2, 3, 4)
    assert stats.kstest(points.flatten().numpy(), "uniform", (-EPS, 2 * EPS)).pvalue > 1e-3
    largest = (size(points, "linf").double() / EPS) ** math.prod((2, 3, 4))
    assert stats.kstest(largest.numpy(), "uniform").pvalue > 1e-3, "the coordinates are not independent"


def test_unknown_norm():
    with pytest.raises(ConfigError, match="linf, l2, l1, l0, got 'l7'"):
        check_norm("l7")


def test_l0_projection_keeps_the_largest_values():
    delta = torch.tensor([[0.1, -0.5, 0.0, 0.3], [0.0, 0.2, 0.0, 0.0]])
    assert torch.equal(project(delta, "l0", 2), torch.tensor([[0, -0.5, 0, 0.3], [0, 0.2, 0, 0]]))
    assert torch.equal(project(delta, "l0", 7), delta)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: steepest(some(1, 3), "l0"),
        lambda: steepest(some(1, 3), "l1"),
        lambda: project(some(1, 3), "l1", 1.0),
        lambda: dual_size(some(1, 3), "l0"),
        lambda: random_point(Draws.of(0, samples=[0]), (3,), "l0", 1),
    ],
)
def test_what_a_norm_does_not_have_is_refused(ask):
    with pytest.raises(ConfigError, match=r"Expected norm .*, got l[01]"):
        ask()


def test_random_l1_point_is_uniform_in_the_cross_polytope():
    points = random_point(Draws.of("cross", samples=range(4000)), (5,), "l1", EPS)
    quantiles = (size(points, "l1").double() / EPS) ** 5
    assert stats.kstest(quantiles.numpy(), "uniform").pvalue > 1e-3
    shares = points.abs() / size(points, "l1")[:, None]  # Beta(1, n - 1) each
    assert stats.kstest(shares[:, 2].numpy(), stats.beta(1, 4).cdf).pvalue > 1e-3
    assert abs(float((points > 0).float().mean()) - 0.5) < 0.02
