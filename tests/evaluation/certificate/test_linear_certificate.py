"""The exact robustness of linear classifiers: against linear programs, against the ball itself, and against attacks."""

import csv

import numpy as np
import pytest
import torch
from foolbench.attacks import (
    APGD,
    BIM,
    FAB,
    FGSM,
    JSMA,
    PGD,
    CarliniWagner,
    DeepFool,
    Momentum,
    RayS,
    Square,
    TrustRegion,
)
from foolbench.core import ConfigError
from foolbench.core.norms import random_point, size, steepest
from foolbench.core.seeding import Draws
from foolbench.datasets import Digits
from foolbench.evaluation.certificate import LinearClassifier
from foolbench.evaluation.report.published import PUBLISHED
from foolbench.models import ENTRIES
from scipy.optimize import linprog, minimize

SHAPE = (1, 2, 4)
EPS = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


@pytest.fixture(scope="module", params=["linear", "linear-linf"])
def trained(request):
    model = ENTRIES[f"digits:{request.param}"].load()
    return model, LinearClassifier.of(model), *Digits().load(range(64))


def rows(model, count=12):
    x = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(4))
    return LinearClassifier.of(model), x, model.predict(x)


def test_the_weights_are_those_of_the_network(linear_model):
    model = linear_model(3, SHAPE)
    found = LinearClassifier.of(model)
    torch.testing.assert_close(found.weight.float(), model.net.weight.data)
    torch.testing.assert_close(found.bias.float(), model.net.bias.data)


def test_two_classes_have_the_textbook_distance(linear_model):
    """|f| over the dual norm: L1 for Linf, L2 for L2, Linf for L1."""
    model = linear_model(2, SHAPE)
    linear, x, y = rows(model)
    slope = (model.net.weight[1] - model.net.weight[0]).double()
    lead = (linear(x)[:, 1] - linear(x)[:, 0]).abs()
    for norm, order in (("linf", 1), ("l2", 2), ("l1", torch.inf)):
        expected = lead / torch.linalg.vector_norm(slope, ord=order)
        torch.testing.assert_close(linear.distances(x, y, norm, in_box=False), expected)


def test_the_fewest_values_are_those_of_all_subsets(linear_model):
    """Each subset of the values at the better end of [0, 1], against every other class."""
    linear, x, y = rows(linear_model(4, SHAPE))
    points, subsets = x.flatten(1).double(), torch.cartesian_prod(*[torch.tensor([False, True])] * 8)
    for point, label, distance in zip(points, y.tolist(), linear.distances(x, y, "l0").tolist(), strict=True):
        best = torch.inf
        for other in {*range(4)} - {label}:
            slope = linear.weight[other] - linear.weight[label]
            moved = torch.where(subsets, (slope > 0).double(), point)
            led = (moved - point) @ slope >= (linear.weight[label] - linear.weight[other]) @ point + (
                linear.bias[label] - linear.bias[other]
            )
            best = min([best, *subsets[led].sum(dim=1).tolist()])
        assert distance == best


def test_an_attack_on_few_values_meets_the_certificate_and_none_exceeds_it(trained):
    model, linear, x, _ = trained
    distances = linear.distances(x, model.predict(x), "l0")
    for eps in (4, 8):
        fooled = model.predict(JSMA(eps=eps, norm="l0")(model, x)) != model.predict(x)
        assert not (fooled & (distances > eps)).any()
        assert fooled.any()


def test_an_unknown_norm_is_refused(trained):
    _, linear, x, y = trained
    with pytest.raises(ConfigError, match="Expected a norm of linf, l2, l1"):
        linear.distances(x, y, "l3")


@pytest.mark.parametrize("in_box", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_distances_are_those_of_an_independent_solver(linear_model, norm, in_box):
    """A linear program for Linf and L1, sequential quadratic programming for L2, each over every other class."""
    linear, x, y = rows(linear_model(4, SHAPE))
    found = linear.distances(x, y, norm, in_box=in_box)
    for image, label, distance in zip(x.flatten(1).double().numpy(), y.tolist(), found.tolist(), strict=True):
        nearest = min(solved(linear, image, label, other, norm, in_box) for other in range(4) if other != label)
        assert distance == pytest.approx(nearest, rel=1e-4)


def solved(linear, image, label, other, norm, in_box):
    slope = (linear.weight[other] - linear.weight[label]).numpy()
    lead = slope @ image + float(linear.bias[other] - linear.bias[label])
    low, high = (-image, 1 - image) if in_box else (np.full(8, -99.0), np.full(8, 99.0))
    if norm == "l2":
        best = minimize(
            lambda delta: delta @ delta,
            -lead * slope / (slope @ slope),
            jac=lambda delta: 2 * delta,
            bounds=list(zip(low, high, strict=True)),
            constraints={"type": "ineq", "fun": lambda delta: slope @ delta + lead, "jac": lambda delta: slope},
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-14},
        )
        return float(np.sqrt(best.fun)) if best.success else np.inf
    size_of = np.ones(8) if norm == "l1" else np.array([1.0])  # delta = up - down, and its size
    bounds = [*((0, max(h, 0)) for h in high), *((0, max(-low_end, 0)) for low_end in low), (0, None)]
    crossing = np.concatenate([-slope, slope, [0.0]])
    if norm == "l1":
        limits = [np.concatenate([size_of, size_of, [-1.0]])]
    else:
        limits = [np.concatenate([row, row, [-1.0]]) for row in np.eye(8)]
    program = linprog([0.0] * 16 + [1.0], [crossing, *limits], [lead, *[0.0] * len(limits)], bounds=bounds)
    return program.fun if program.success else np.inf


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_ball_up_to_the_distance_is_of_one_class_and_no_larger_one_is(linear_model, norm):
    linear, x, y = rows(linear_model(4, SHAPE), count=6)
    found, spread = linear.distances(x, y, norm, in_box=False), x.repeat_interleave(2000, dim=0)
    unit = random_point(Draws.of(0, samples=range(len(spread))), SHAPE, norm, 1.0).double()
    within = spread + unit * found.repeat_interleave(2000)[:, None, None, None]
    assert torch.equal(linear(within).argmax(dim=1), y.repeat_interleave(2000))
    slopes = torch.stack([linear.weight[other] - linear.weight[y] for other in range(4)])
    ends = [x + (1.001 * found)[:, None, None, None] * steepest(slope, norm).reshape(x.shape) for slope in slopes]
    fooled = torch.stack([linear(end).argmax(dim=1) != y for end in ends]).any(dim=0)
    assert fooled.all()


def test_a_class_that_no_image_reaches_is_infinitely_far(linear_model):
    model = linear_model(2, SHAPE)
    model.net.bias.data += torch.tensor([100.0, 0.0])
    linear, x, y = rows(model)
    assert linear.distances(x, y, "l2").isinf().all()
    assert linear.distances(x, y, "l2", in_box=False).isfinite().all()
    assert not linear.distances(x, 1 - y, "l2").any()


MEETS = {  # the share that each attack fools of the images for which the certificate leaves room within its budget
    FGSM(eps=0.1): 0.9,
    BIM(eps=0.1, steps=20): 0.95,
    Momentum(eps=0.1, steps=20): 0.95,
    PGD(eps=0.1, steps=20, restarts=5): 1.0,
    PGD(eps=0.5, norm="l2", steps=20, restarts=5): 1.0,
    PGD(eps=2.0, norm="l1", steps=20, restarts=5): 1.0,
    APGD(eps=0.1, steps=20, loss="dlr", target_classes=9): 1.0,
    APGD(eps=0.5, norm="l2", steps=20, target_classes=9): 1.0,
    FAB(eps=0.1, norm="linf", steps=20, target_classes=9): 1.0,
    FAB(eps=0.5, norm="l2", steps=20, target_classes=9): 1.0,
    FAB(eps=2.0, norm="l1", steps=20, target_classes=9): 1.0,
    DeepFool(eps=0.1, norm="linf"): 1.0,
    DeepFool(eps=0.5): 1.0,
    TrustRegion(eps=0.1, norm="linf"): 1.0,
    CarliniWagner(eps=0.5, searches=4, steps=200, initial_c=1.0): 1.0,
    Square(eps=0.1, queries=1000): 0.95,
    Square(eps=0.5, norm="l2", queries=1000): 0.6,  # its squares are coarse on 8 x 8 pixels
    RayS(eps=0.1, queries=1000): 0.9,
}


@pytest.mark.parametrize("attack", MEETS, ids=lambda attack: f"{type(attack).__name__}-{attack.norm}")
def test_every_attack_meets_the_certificate_and_none_exceeds_it(trained, attack):
    model, linear, x, _ = trained
    y = model.predict(x)
    distances = linear.distances(x, y, attack.norm)
    x_adv = attack(model, x, rng=0)
    fooled = model.predict(x_adv) != y
    assert (size(x_adv - x, attack.norm)[fooled].double() >= distances[fooled] * (1 - 1e-4) - 1e-6).all()
    assert not fooled[distances > attack.eps * (1 + 1e-4) + 1e-6].any()
    possible = distances < 0.99 * attack.eps
    assert possible.sum() > 20
    assert fooled[possible].sum() >= MEETS[attack] * possible.sum() - 1.5  # one image by rounding


def certified(linear, x, y, norm, eps):
    """Robust accuracy in percent."""
    return 100 * float((linear.distances(x, y, norm) > eps).float().mean())


def test_training_against_the_worst_case_is_worth_it():
    x, y = Digits().load(range(512))
    usual, robust = (LinearClassifier.of(ENTRIES[f"digits:{name}"].load()) for name in ("linear", "linear-linf"))
    assert certified(robust, x, y, "linf", 0.1) > certified(usual, x, y, "linf", 0.1) + 10


def test_the_certificates_beside_the_recipe_are_those_of_the_networks_it_ships():
    x, y = Digits().load(range(512))
    lines = [line for line in (PUBLISHED / "linear-certificate.csv").read_text().splitlines() if line[0] != "#"]
    numbers = list(csv.DictReader(lines))
    assert len(numbers) >= 4
    for number in numbers:
        linear = LinearClassifier.of(ENTRIES[f"digits:{number['model']}"].load())
        norm = number["column"].split()[0].lower()
        found = certified(linear, x, y, norm, EPS[norm])
        assert float(number["published"]) == pytest.approx(found, abs=0.01)


def test_what_is_not_linear_is_refused(digits_model):
    with pytest.raises(ConfigError, match="Expected a linear network"):
        LinearClassifier.of(digits_model)
