"""FAB lands on the known minimal distances of linear models, by exact projections onto hyperplanes within [0, 1]."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from foolbench.attacks import FAB
from foolbench.attacks._hyperplane import move_onto
from foolbench.core import ConfigError, Draws, Model
from foolbench.core.norms import size
from foolbench.datasets.digits import Digits
from foolbench.tasks import Recognition
from scipy.optimize import linprog, minimize
from torch import nn

SHAPE = (2, 5, 4)
NORMS = ["linf", "l2", "l1"]


def smallest(point, normal, rise, norm):
    """By linear or quadratic programming: the smallest move with normal @ move = rise within [0, 1]."""
    low, high, ones = -point, 1 - point, np.eye(len(point))
    if norm == "l2":
        rule = {"type": "eq", "fun": lambda m: m @ normal - rise, "jac": lambda m: normal}
        found = minimize(
            lambda m: m @ m, 0 * point, jac=lambda m: 2 * m, constraints=rule, bounds=list(zip(low, high, strict=True)),
            method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        )  # fmt: skip
        return math.sqrt(found.fun)
    if norm == "l1":
        both = [(0, h) for h in high] + [(0, -w) for w in low]
        return linprog(np.ones(2 * len(point)), A_eq=np.r_[normal, -normal][None], b_eq=[rise], bounds=both).fun
    bound, column = np.r_[0 * point, 1], -np.ones((len(point), 1))
    below = np.block([[ones, column], [-ones, column]])
    bounds = [*zip(low, high, strict=True), (0, None)]
    return linprog(
        bound, A_ub=below, b_ub=np.zeros(len(below)), A_eq=np.r_[normal, 0][None], b_eq=[rise], bounds=bounds
    ).fun


@pytest.mark.parametrize("norm", NORMS)
def test_moves_onto_hyperplanes_are_the_smallest(norm):
    rng = torch.Generator().manual_seed(0)
    points = torch.rand(2, 8, 7, generator=rng)
    points = points.masked_fill(points < 0.2, 0).masked_fill(points > 0.85, 1)
    normal = 10 * torch.randn(8, 7, generator=rng)
    normal[0, 3] = 0
    attainable = torch.where(normal > 0, 1 - points, -points)
    rise = (normal * attainable).sum(dim=-1) * torch.linspace(0.01, 0.99, 16).reshape(2, 8)
    moves = move_onto(points, normal, rise, norm)
    torch.testing.assert_close((moves * normal).sum(dim=-1), rise, rtol=1e-5, atol=1e-5)
    assert -1e-7 <= (points + moves).min() <= (points + moves).max() <= 1 + 1e-6
    expected = [smallest(p.double().numpy(), w.double().numpy(), float(r), norm) for p, w, r in zip(
        points.reshape(16, 7), normal.repeat(2, 1), rise.flatten(), strict=True)]  # fmt: skip
    torch.testing.assert_close(size(moves.reshape(16, 7), norm), torch.tensor(expected).float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(move_onto(1 - points, normal, -rise, norm), -moves, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_moves_onto_hyperplanes_out_of_reach(norm):
    points, normal = torch.tensor([[0.25, 0.5, 0.0], [0.25, 0.5, 0.0]]), torch.tensor([[1.0, -2, -3], [0, 0, 0]])
    farthest = torch.tensor([[0.75, -0.5, 0.0], [0, 0, 0]])
    for scale in (1e-25, 1.0, 1e25):
        torch.testing.assert_close(move_onto(points, scale * normal, torch.full((2,), 9 * scale), norm), farthest)
    assert torch.equal(move_onto(points, normal, torch.zeros(2), norm), torch.zeros(2, 3))


def nearest(model, x, y, norm):
    """The distance to the nearest of the other classes' half-spaces; exact where the dual or the projection is."""
    logits, weight = model(x), model.net.weight
    found = torch.full((len(x),), torch.inf)
    for other in range(len(weight)):
        normal, rise = weight[other] - weight[y], logits.gather(1, y[:, None])[:, 0] - logits[:, other]
        moves = move_onto(x.flatten(1), normal, rise, norm)
        reached = ((moves * normal).sum(dim=1) - rise).abs() < 1e-4
        found = torch.where((other != y) & reached, torch.minimum(found, size(moves, norm)), found)
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("classes", "target_classes"), [(2, 0), (2, 9), (5, 0), (5, 4)])
def test_minimal_distance(linear_model, mid_images, norm, classes, target_classes):
    model, x = linear_model(classes, SHAPE), mid_images(30, SHAPE)
    y = model.predict(x)
    adversarial = FAB(norm=norm, steps=5, target_classes=target_classes)(model, x, rng=0)
    torch.testing.assert_close(size(adversarial - x, norm), nearest(model, x, y, norm), rtol=1e-3, atol=0)
    assert (model.predict(adversarial) != y).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 5])
def test_minimal_distance_where_the_box_cuts(linear_model, norm, classes):
    x = (1.4 * torch.rand(30, *SHAPE, generator=torch.Generator().manual_seed(5)) - 0.2).clamp(0, 1)
    model = linear_model(classes, SHAPE)
    y = model.predict(x)
    adversarial = FAB(norm=norm, steps=5, target_classes=classes - 1)(model, x, rng=0)
    expected = nearest(model, x, y, norm)
    torch.testing.assert_close(size(adversarial - x, norm), expected, rtol=4e-3, atol=0)
    torch.testing.assert_close(size(adversarial - x, norm).mean(), expected.mean(), rtol=1e-3, atol=0)
    assert (model.predict(adversarial) != y).all()


@pytest.mark.parametrize("norm", NORMS)
def test_a_target_is_reached_at_the_minimal_distance(linear_model, mid_images, norm):
    model, x = linear_model(2, SHAPE), mid_images(30, SHAPE)
    y = model.predict(x)
    adversarial = FAB(norm=norm, steps=5, targeted=True)(model, x, 1 - y, rng=0)
    torch.testing.assert_close(size(adversarial - x, norm), nearest(model, x, y, norm), rtol=1e-3, atol=0)
    several = linear_model(5, SHAPE)
    target = (several.predict(x) + 1) % 5
    assert (several.predict(FAB(norm=norm, steps=20, targeted=True)(several, x, target, rng=0)) == target).all()


@pytest.mark.parametrize("factor", [1e-20, 1e20])
@pytest.mark.parametrize("facts", [{}, {"target_classes": 4}, {"targeted": True}], ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_the_scale_of_the_logits_does_not_matter(linear_model, scaled, norm, facts, factor):
    x = (1.4 * torch.rand(20, *SHAPE, generator=torch.Generator().manual_seed(5)) - 0.2).clamp(0, 1)
    model, attack = linear_model(5, SHAPE), FAB(norm=norm, steps=20, **facts)
    y = (model.predict(x) + attack.targeted) % 5
    expected = attack(model, x, y)
    assert ((model.predict(expected) != y) != attack.targeted).all()
    torch.testing.assert_close(attack(scaled(model, factor), x, y), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("alpha_max", [None, 0.0, 0.02, 0.1])
def test_a_step_is_drawn_towards_the_projection_of_the_image(recording, linear_model, mid_images, norm, alpha_max):
    linear, x = linear_model(2, SHAPE), mid_images(12, SHAPE)
    model, y = Model(recording(linear.net), task=linear.task), linear.predict(x)
    FAB(norm=norm, steps=2, **({} if alpha_max is None else {"alpha_max": alpha_max}))(model, x, y, rng=0)
    _, start, beyond, back, last, *_ = model.net.seen
    normal = linear.net.weight[1 - y] - linear.net.weight[y]
    logits = linear(x)
    onto = move_onto(x.flatten(1), normal, (logits[:, 0] - logits[:, 1]).abs(), norm).reshape(x.shape)
    # `last` starts 0.945 of the way to the boundary, so 0.055 is left of it: as a share of what both have to go
    share = min(0.055 / 1.055, 0.1 if alpha_max is None else alpha_max)
    way = (1 - share) * (0.945 + 1.05 * 0.055) + share * 1.05
    for point, part in ((start, 0), (beyond, 1.05), (back, 0.9 * 1.05), (last, way)):
        torch.testing.assert_close(point, x + part * onto, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def digits(digits_model):
    x, _ = Digits().load(range(32))
    return x, digits_model.predict(x)


@pytest.mark.parametrize("norm", NORMS)
def test_a_smallest_change_survives_another_look(digits_model, digits, norm):
    x, y = digits
    adversarial = FAB(norm=norm, steps=10)(digits_model, x, y, rng=0)
    alone = torch.cat([digits_model.predict(image[None]) for image in adversarial])
    assert (alone != y).all()


@pytest.mark.parametrize("norm", NORMS)
def test_more_searches_come_nearer(digits_model, digits, norm):
    x, y = digits
    few = FAB(norm=norm, steps=5)
    one, more = (size(f(digits_model, x, y, rng=0) - x, norm) for f in (few, replace(few, restarts=2)))
    one, more = (torch.where(found == 0, torch.inf, found) for found in (one, more))
    assert (more <= one * 1.005).all()  # of two points within a share of 1 / 200, either may retreat farther
    if norm != "linf":  # where few steps find what there is
        assert (more < 0.99 * one).any()


def test_a_budget_only_cuts(digits_model, digits):
    x, y = digits
    minimal, within = (FAB(eps=eps, steps=5)(digits_model, x, y, rng=0) for eps in (math.inf, 0.1))
    near = size(minimal - x, "linf") <= 0.1
    assert 5 < near.sum() < 27
    assert torch.equal(within[near], minimal[near])
    assert size(within - x, "linf").max() <= 0.1 + 1e-6


@pytest.mark.parametrize(("target_classes", "backwards"), [(0, 4), (3, 3)])
def test_passes(linear_model, mid_images, target_classes, backwards):
    model, x = linear_model(5, SHAPE), mid_images(8, SHAPE)
    FAB(steps=6, target_classes=target_classes)(model, x, model.predict(x), rng=0)
    searches = max(target_classes, 1)
    model.passes.forwards -= 2 * 8  # the predictions here, and those of the clean images
    assert (model.passes.forwards, model.passes.backwards) == (8 * (searches * 6 * 2 + 3), 8 * 6 * backwards)


def test_the_already_fooled_come_back_as_they_are(linear_model, mid_images):
    model, x = linear_model(3, SHAPE), mid_images(8, SHAPE)
    y = torch.where(torch.arange(8) < 4, model.predict(x), (model.predict(x) + 1) % 3)
    adversarial = FAB(steps=5)(model, x, y, rng=0)
    assert torch.equal(adversarial[4:], x[4:])
    assert (model.predict(adversarial) != y).all()
    model.passes.backwards = 0
    assert torch.equal(FAB(steps=5, targeted=True)(model, x, model.predict(x)), x)
    assert model.passes.backwards == 0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", [{}, {"target_classes": 3}, {"restarts": 2}, {"targeted": True}], ids=str)
def test_a_batch_changes_no_image(digits_model, digits, norm, kind):
    x, y = digits
    attack, rng = FAB(norm=norm, steps=4, **kind), Draws.of(0, samples=range(32))
    y = (y + 1) % 10 if attack.targeted else y
    together = attack(digits_model, x, y, rng=rng)
    for rows in (torch.tensor([7]), torch.tensor([30, 2, 11])):
        apart = attack(digits_model, x[rows], y[rows], rng=rng[rows])
        torch.testing.assert_close(apart, together[rows], rtol=0, atol=1e-3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_no_gradient_no_change(norm, targeted):
    class Flat(nn.Module):
        def forward(self, x):
            return 0 * x.flatten(1).sum(dim=1, keepdim=True) + torch.tensor([1.0, 0, 0, 0])

    model, x = Model(Flat(), task=Recognition(classes=4)), torch.rand(3, 1, 1, 1)
    y = torch.full((3,), int(targeted))
    assert torch.equal(FAB(norm=norm, steps=3, restarts=2, targeted=targeted)(model, x, y), x)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"restarts": 0},
        {"target_classes": -1},
        {"target_classes": 3, "targeted": True},
        {"alpha_max": 1.5},
        {"beta": 1.0},
        {"eta": 0.9},
        {"norm": "l0"},
    ],
    ids=str,
)
def test_refuses_parameters(wrong):
    with pytest.raises(ConfigError):
        FAB(**wrong)
