"""Attacks on a randomized system take expectations: they follow mean losses, and one lucky draw decides nothing."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import APGD, PGD, AutoAttack
from foolbench.attacks._gradient import class_gradients, loss_and_gradient, loss_and_outputs
from foolbench.attacks.universal._features import FeatureAscent
from foolbench.core import Attack, Draws, InputTransform, Model, attacks
from foolbench.core.ensemble import attack_survivors
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (1, 3, 4)
EPS = {"linf": 0.29, "l2": 1.0, "l1": 3.5, "l0": 12}
MORE = {  # than is quick: so that they all but always succeed on the bare model
    "adaptive-ensemble": {"steps": 10, "queries": 50},
    "carlini-wagner": {"steps": 30, "initial_c": 100.0},
    "jsma": {"gamma": 1.0},
    "pgd": {"early_stop": True},
    "rays": {"queries": 200},
    "sea": {"steps": 15},
    "square": {"queries": 100},
    "trust-region": {"steps": 100},
}
CASES = [
    (name, norm)
    for name in attacks
    if issubclass(attacks[name], Attack) and attacks[name].access != "none"
    for norm in attacks[name].norms
]


@pytest.fixture
def setting(linear_model, mid_images):
    """A balanced linear model of two classes, images that are far from its boundary, and their classes."""
    model, x = linear_model(2, SHAPE), mid_images(80, SHAPE)
    logits = model(x)
    x = x[(logits[:, 0] - logits[:, 1]).abs() > 0.3]
    assert len(x) > 30
    for parameter in model.net.parameters():
        parameter.data *= 0.05  # where the cross-entropy is all but linear, or the mean loss would follow the negatives
    return model, x, model.predict(x)


@pytest.fixture
def system(setting, flip):
    model = setting[0]
    return model.through((flip(0.1),), draws=10)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_no_attack_rests_on_a_lucky_draw(setting, system, quick, name, norm):
    model, x, y = setting
    attack = attacks.create(name, {"eps": EPS[norm], "norm": norm} | quick(name) | MORE.get(name, {}))
    fooled = [(model.predict(attack(crafted_on, x, y, rng=0)) != y).float().mean() for crafted_on in (model, system)]
    assert fooled[0] > 0.9
    assert fooled[1] >= fooled[0] - 0.05


@pytest.mark.parametrize("attack", [APGD(eps=0.29, steps=10), AutoAttack(eps=0.29, steps=5, queries=20)], ids=repr)
def test_nobody_rests_at_the_clean_image_whose_prediction_flips_now_and_then(setting, system, attack):
    _, x, y = setting
    single = torch.stack([system.predict(x, rng=Draws.of(seed, samples=range(len(x)))) for seed in range(5)])
    assert 0.05 < (single != y).float().mean() < 0.15
    for labels in (y, None):
        adversarial = attack(system, x, labels, rng=0)
        assert (adversarial != x).flatten(1).any(dim=1).all()


def test_survivors_are_those_of_the_average(setting, system):
    _, x, y = setting
    given = []

    class Watch(PGD):
        def perturb(self, model, x, y, *, rng):
            given.append(len(x))
            return x

    attack_survivors(Watch(eps=0.1), system, x, y, x, rng=Draws.of(1, samples=range(len(x))))
    assert given == [len(x)]


@dataclass(frozen=True, kw_only=True)
class Dimmed(InputTransform):
    """By a random factor."""

    differentiable = True
    randomized = True

    def transform(self, x, *, rng):
        return x * rng.uniform((1, 1, 1))


def test_behind_a_randomized_system_apgd_spends_the_budget(setting, system):
    """It does not rest at what some draws take for fooled, just beyond the boundary."""
    _, x, y = setting
    x_adv = APGD(eps=0.29, steps=10)(system, x, y, rng=0)
    assert ((x_adv - x).abs() > 0.28).float().mean() > 0.95


@pytest.fixture
def dimmed(digits_model):
    """A system, its images, its streams, and what single evaluations are asked with."""
    system, rng = digits_model.through((Dimmed(),), draws=4), Draws.of(0, samples=range(6))
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return system, digits_model.through((Dimmed(),)), x, rng


def test_a_look_is_the_mean_of_the_losses_and_the_average_of_the_outputs(dimmed):
    system, one, x, rng = dimmed
    y = torch.arange(6)
    each = [one(x, rng=streams) for streams in system.evaluations(rng)]
    assert len(each) == 4
    losses = torch.stack([system.task.loss(outputs, y) for outputs in each]).mean(dim=0)
    probabilities = torch.stack([outputs.softmax(dim=1) for outputs in each]).mean(dim=0)
    loss, _, outputs = loss_and_gradient(system, x, y, rng=rng)
    last_loss, last_outputs = loss_and_outputs(system, x, y, rng=rng)
    for found in (loss, last_loss):
        torch.testing.assert_close(found, losses)
    for found in (outputs, last_outputs, system.averaged(x, rng=rng)):
        torch.testing.assert_close(found.softmax(dim=1), probabilities)
    assert torch.equal(system.judge(x, rng=rng), probabilities.argmax(dim=1))


def test_class_gradients_are_those_of_the_mean(dimmed):
    system, one, x, rng = dimmed
    directions = torch.randn(6, 3, 10, generator=torch.Generator().manual_seed(1))
    values, gradients, outputs = class_gradients(system, x, directions, rng=rng)
    each = [class_gradients(one, x, directions, rng=streams) for streams in system.evaluations(rng)]
    torch.testing.assert_close(values, sum(v for v, _, _ in each) / 4)
    torch.testing.assert_close(gradients, sum(g for _, g, _ in each) / 4)
    assert torch.equal(outputs, system.averaged(x, rng=rng))


def test_one_evaluation_costs_one_and_is_itself(setting, flip):
    model, x, _ = setting
    system = model.through((flip(0.1),))
    rng = Draws.of(0, samples=range(len(x)))
    before = model.passes.forwards
    outputs = system.averaged(x, rng=rng)
    assert model.passes.forwards == before + len(x)
    assert torch.equal(outputs, system(x, rng=rng))


def test_features_follow_the_mean_gradient_of_the_objective():
    """The energy is no linear function: its slope at one draw is not that at another."""
    layer = nn.Linear(12, 5, bias=False)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    net = Model(nn.Sequential(nn.Flatten(), layer, nn.Softplus()), task=Recognition(classes=5), features=("2",))
    system = net.through((Dimmed(),), draws=5)
    pool, rng = torch.full((1, *SHAPE), 0.5), Draws.of(0, samples=[0])
    ascent = FeatureAscent(system, pool, rng, eps=0.1, learning_rate=0.01)
    delta = ascent.delta.detach().clone()
    ascent.step()
    streams = rng.fork("batches").fork("draws 0").split(1)
    expected = torch.zeros_like(delta)
    for one in system.evaluations(streams):
        variable = delta.clone().requires_grad_()
        (activations,) = net.through((Dimmed(),)).features(pool + variable, rng=one)
        expected -= torch.autograd.grad(activations.square().sum().log(), variable)[0] / 5
    torch.testing.assert_close(ascent.delta.grad, expected, rtol=1e-4, atol=1e-6)
