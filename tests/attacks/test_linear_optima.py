"""On a linear model the optimal perturbation is known in closed form: FGSM and PGD must find exactly that one."""

from itertools import product

import pytest
import torch
from foolbench.attacks import FGSM, PGD
from foolbench.core import Model
from foolbench.core.norms import size, steepest
from foolbench.tasks import Recognition
from scipy.optimize import linprog
from torch import nn

SHAPE = (2, 3, 4)
EPS = 0.1
DUAL = {"linf": 1, "l2": 2}
ATTACKS = {
    "fgsm": lambda **facts: FGSM(eps=EPS, **facts),
    "pgd-no-start": lambda **facts: PGD(eps=EPS, steps=20, random_start=False, **facts),
    # under L2 each step shrinks what is left of the start to a share of eps / (eps + step_size)
    "pgd": lambda **facts: PGD(eps=EPS, steps=20, step_size=5 * EPS, **facts),
    "pgd-restarts": lambda **facts: PGD(eps=EPS, steps=20, step_size=5 * EPS, restarts=2, **facts),
}


@pytest.fixture(params=ATTACKS.values(), ids=ATTACKS)
def attack(request):
    return request.param


def linear(weight: torch.Tensor, shape=SHAPE) -> Model:
    layer = nn.Linear(weight.shape[1], len(weight))
    layer.weight.data, layer.bias.data = weight, -0.5 * weight.sum(dim=1)
    return Model(nn.Sequential(nn.Flatten(), layer), task=Recognition(classes=len(weight)), shape=shape)


def gaussian(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_binary_optimum(linear_model, mid_images, attack, norm, targeted):
    model, x = linear_model(2, SHAPE), mid_images(16, SHAPE)
    y = torch.arange(16) % 2
    weight = model.net.weight
    up = weight[1] - weight[0]  # towards class 1
    away = torch.where((y == 0) != targeted, 1.0, -1.0)[:, None] * up
    expected = EPS * steepest(away, norm).reshape(x.shape)

    adversarial = attack(norm=norm, targeted=targeted)(model, x, y, rng=0)
    torch.testing.assert_close(adversarial - x, expected, rtol=0, atol=2e-6)

    margins = [logits[:, 1] - logits[:, 0] for logits in (model(x), model(adversarial))]
    change = EPS * torch.linalg.vector_norm(up, ord=DUAL[norm]) * torch.where((y == 0) != targeted, 1.0, -1.0)
    torch.testing.assert_close(margins[1] - margins[0], change, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("attack", "eps", "walls", "share"),
    [
        (FGSM, 0.2, 0, 0.9999),
        (PGD, 0.2, 0, 0.9999),
        (FGSM, 2.0, 2, 0.9999),
        (PGD, 2.0, 0, 0.95),  # a step fills further values, and the projection takes that back from all, full ones too
    ],
)
def test_binary_l1_optimum_is_that_of_a_linear_program(linear_model, mid_images, attack, eps, walls, share, targeted):
    model, x = linear_model(2, SHAPE), mid_images(8, SHAPE)
    y = torch.arange(8) % 2
    weight = (model.net.weight[1] - model.net.weight[0]).double()
    adversarial = attack(eps=eps, norm="l1", targeted=targeted)(model, x, y, rng=0)
    assert size(adversarial - x, "l1").max() <= eps + 1e-5
    for image, found, label in zip(x.flatten(1).double(), adversarial.flatten(1).double(), y.tolist(), strict=True):
        up = weight if (label == 0) != targeted else -weight
        # delta = more - less: the largest up @ delta with image + delta in [0, 1] and sum(more + less) <= eps
        bounds = [(0, float(1 - value)) for value in image] + [(0, float(value)) for value in image]
        best = -linprog(torch.cat([-up, up]).numpy(), A_ub=[[1.0] * 48], b_ub=[eps], bounds=bounds).fun
        assert share * best <= float(up @ (found - image)) <= best * 1.0001
        assert int((found - found.round()).abs().lt(1e-6).sum()) >= walls


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("attack", [FGSM, PGD])
def test_binary_optimum_where_the_box_cuts(linear_model, attack, targeted):
    model, x = linear_model(2, SHAPE), torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(5))
    y = torch.ones(16, dtype=torch.int64)
    up = (model.net.weight[1] - model.net.weight[0]).reshape(SHAPE)
    optimum = (x + (EPS if targeted else -EPS) * up.sign()).clamp(0, 1)
    torch.testing.assert_close(attack(eps=EPS, targeted=targeted)(model, x, y, rng=0), optimum, rtol=0, atol=2e-6)
    assert (optimum == optimum.clamp(0.01, 0.99)).logical_not().any(), "the box never cut"


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [3, 10])
def test_multi_class_optimum_of_one_against_the_rest(mid_images, attack, norm, classes):
    # where all other classes share their weights, every gradient points along the one difference
    v, u = gaussian(2, 24)
    model, x = linear(torch.stack([v] + [u] * (classes - 1))), mid_images(8, SHAPE)
    adversarial = attack(norm=norm)(model, x, torch.zeros(8, dtype=torch.int64), rng=0)
    expected = EPS * steepest((u - v)[None], norm).reshape(1, *SHAPE).expand_as(x)
    torch.testing.assert_close(adversarial - x, expected, rtol=0, atol=2e-6)

    margin = model(adversarial)[:, 1] - model(adversarial)[:, 0] - model(x)[:, 1] + model(x)[:, 0]
    attained = EPS * torch.linalg.vector_norm(u - v, ord=DUAL[norm])
    torch.testing.assert_close(margin, attained.expand(8), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_multi_class_fgsm_follows_the_analytic_gradient(linear_model, mid_images, norm, targeted):
    model, x = linear_model(5, SHAPE), mid_images(10, SHAPE)
    y = torch.arange(10) % 5
    gradient = (model(x).softmax(dim=1) - nn.functional.one_hot(y, 5)) @ model.net.weight  # of the cross-entropy
    expected = (-EPS if targeted else EPS) * steepest(gradient, norm).reshape(x.shape)
    adversarial = FGSM(eps=EPS, norm=norm, targeted=targeted)(model, x, y)
    torch.testing.assert_close(adversarial - x, expected, rtol=0, atol=2e-6)


def test_multi_class_pgd_reaches_the_best_corner(mid_images):
    # the loss is convex, so its maximum over the cube is at one of the 2^6 corners: try them all
    shape = (1, 2, 3)
    model, x = linear(gaussian(4, 6), shape), mid_images(20, shape)
    y = model.predict(x)
    corners = EPS * torch.tensor(list(product([-1.0, 1.0], repeat=6))).reshape(-1, 1, *shape)
    losses = torch.stack([model.task.loss(model(x + corner), y) for corner in corners])
    adversarial = PGD(eps=EPS, steps=20, restarts=10)(model, x, y, rng=0)
    torch.testing.assert_close(model.task.loss(model(adversarial), y), losses.amax(dim=0), rtol=1e-5, atol=1e-6)
    assert len(losses.argmax(dim=0).unique()) > 3, "one corner is best for nearly all: too easy"


def test_multi_class_l2_pgd_ends_where_the_gradient_is_normal_to_the_ball(linear_model, mid_images):
    model, x = linear_model(5, SHAPE), mid_images(10, SHAPE)
    y = torch.arange(10) % 5
    adversarial = PGD(eps=EPS, steps=200, step_size=EPS / 2, norm="l2")(model, x, y, rng=0)
    gradient = (model(adversarial).softmax(dim=1) - nn.functional.one_hot(y, 5)) @ model.net.weight
    torch.testing.assert_close((adversarial - x).flatten(1), EPS * steepest(gradient, "l2"), rtol=0, atol=1e-5)
