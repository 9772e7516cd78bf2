"""Networks that are sure of everything, or answer in other units or precisions, are fooled as often as others."""

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
    CosPGD,
    DeepFool,
    SegPGD,
    TrustRegion,
    UniversalPGD,
)
from foolbench.attacks._gradient import loss_and_gradient
from foolbench.attacks._losses import Objective
from foolbench.core import Draws, GradientError, Model
from foolbench.core.norms import size
from foolbench.core.universal_attack import CraftingData
from foolbench.datasets import Digits
from foolbench.defenses import RandomNoise, adaptive
from foolbench.models import ENTRIES
from foolbench.tasks.recognition import log_odds
from torch import nn


@pytest.fixture(scope="module")
def digits(digits_model):
    x, _ = Digits().load(range(64))
    return x, digits_model.predict(x)


def fooled(attack, model, x, y) -> int:
    return int((model.predict(attack(model, x, y, rng=0)) != y).sum())


def test_log_odds_are_those_of_the_probability():
    logits, y = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 5
    p = logits.double().softmax(dim=1).gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(log_odds(logits, y), (1 / p - 1).log().float())


def test_log_odds_rise_in_the_direction_of_cross_entropy():
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    y = torch.arange(8) % 5
    (odds,) = torch.autograd.grad(log_odds(logits, y).sum(), logits)
    (loss,) = torch.autograd.grad(nn.functional.cross_entropy(logits, y, reduction="sum"), logits)
    torch.testing.assert_close(nn.functional.normalize(odds), nn.functional.normalize(loss))


@pytest.mark.parametrize("scale", [100, 1e4])
@pytest.mark.parametrize(
    "attack",
    [
        FGSM(eps=0.1),
        BIM(eps=0.1),
        PGD(eps=0.1, steps=10),
        PGD(eps=0.5, norm="l2", steps=10),
        PGD(eps=2, norm="l1", steps=10, restarts=2),
        SegPGD(eps=0.1, steps=10),
        CosPGD(eps=0.1, steps=10),
        APGD(eps=0.1, steps=10),
    ],
    ids=lambda attack: f"{type(attack).__name__}-{attack.norm}",
)
def test_gradients_do_not_vanish(digits_model, digits, scaled, attack, scale):
    # the surer a network, the more of its log-odds is the runner-up's lead: nearly the same function, not quite
    assert fooled(attack, scaled(digits_model, scale), *digits) >= fooled(attack, digits_model, *digits) - 2 > 5


@pytest.mark.parametrize("scale", [100, 1e4])
def test_one_perturbation_for_all_does_not_vanish(digits_model, digits, scaled, scale):
    x, y = digits
    data = CraftingData(validation=x, load_training=lambda: x)
    attack = UniversalPGD(eps=0.3, max_iterations=50)
    plain, sure = (
        int((model.predict(attack.craft(model, data, rng=0).apply(x)) != y).sum())
        for model in (digits_model, scaled(digits_model, scale))
    )
    assert sure >= 0.8 * plain > 10


@pytest.mark.parametrize("targeted", [False, True])
def test_the_expectation_over_draws_is_that_of_cross_entropy(digits_model, digits, targeted):
    """In its direction: its own gradient in double precision is beyond the smallest float32 for a sure network."""
    x, y = (part[:8] for part in digits)
    system = adaptive(RandomNoise(scale=0.2), digits_model, draws=4)
    draws = Draws.of(0, "draws", samples=range(8))
    sign = -1 if targeted else 1
    plain = loss_and_gradient(system, x, y, rng=draws[:], loss=lambda outputs, y: sign * system.task.loss(outputs, y))
    ours = loss_and_gradient(system, x, y, rng=draws[:], loss=Objective(system.task, targeted=targeted))
    close = torch.nn.functional.cosine_similarity(plain[1].flatten(1), ours[1].flatten(1))
    assert close.min() > 0.999
    assert (sign * ours[0]).argsort().tolist() == (sign * plain[0]).argsort().tolist()


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("kind", [SegPGD, CosPGD])
def test_so_it_is_where_every_draw_has_a_weight_of_its_own(digits_model, digits, kind, targeted):
    """The mean of weight times cross-entropy, as both papers write it, on an image that is right in some draws only."""
    x, y = (part[:8] for part in digits)
    if targeted:
        y = (y + 1) % 10
    system = adaptive(RandomNoise(scale=0.8), digits_model, draws=6)
    draws, ours = Draws.of(0, "draws", samples=range(8)), kind(eps=0.1, targeted=targeted).ascended(system, 5)
    seen, sign = [], -1 if targeted else 1

    def plain(outputs, y):
        seen.append(ours.weights(system.task.places(outputs, y))[:, 0])
        return sign * seen[-1] * system.task.loss(outputs, y)

    expected, gradient, _ = loss_and_gradient(system, x, y, rng=draws[:], loss=plain)
    assert (torch.stack(seen).std(dim=0) > 0.1).any()
    found, followed, _ = loss_and_gradient(system, x, y, rng=draws[:], loss=ours)
    assert torch.nn.functional.cosine_similarity(gradient.flatten(1), followed.flatten(1)).min() > 0.999
    torch.testing.assert_close(sign * (sign * found).exp(), expected, rtol=1e-4, atol=0)  # a logarithm of the loss


@pytest.mark.parametrize("scale", [1, 100, 1e4])
def test_the_expectation_over_draws_does_not_vanish(digits_model, digits, scaled, scale):
    system = adaptive(RandomNoise(scale=0.01), scaled(digits_model, scale), draws=4)
    x, y = (part[:32] for part in digits)
    for kind in (PGD, SegPGD, CosPGD):
        assert fooled_in_noise(kind(eps=0.15, steps=10), system, x, y) > 20


def fooled_in_noise(attack, system, x, y) -> int:
    found = attack(system, x, y, rng=0)
    return int((system.predict(found, rng=Draws.of(1, "noise", samples=range(len(x)))) != y).sum())


@pytest.mark.parametrize("norm", ["l2", "linf", "l0"])
def test_carlini_wagner_is_as_near_in_small_logits(digits_model, digits, scaled, norm):
    """On black and white, where the tanh variable hardly moves the image, gradients of 1e-10 count as well."""
    x, y = (part[:12] for part in digits)
    plain, small = (CarliniWagner(norm=norm, searches=5, steps=40, initial_c=c) for c in (1e-2, 1e2))
    expected, found = plain(digits_model, x, y), small(scaled(digits_model, 1e-4), x, y)
    assert (digits_model.predict(found) != y).all()
    assert size(found - x, norm).mean() <= 1.01 * size(expected - x, norm).mean()


def test_carlini_wagner_finds_a_c_for_small_logits(digits_model, digits, scaled):
    """From the same first c it rises three times more often, and what Adam has seen at the small ones is in its way."""
    x, y = (part[:12] for part in digits)
    attack = CarliniWagner(steps=60)
    expected, found = (attack(model, x, y) for model in (digits_model, scaled(digits_model, 1e-3)))
    assert (digits_model.predict(found) != y).all()
    assert size(found - x, "l2").mean() <= 1.05 * size(expected - x, "l2").mean()


@pytest.mark.parametrize("norm", ["l2", "linf", "l0"])
def test_carlini_wagner_fools_all_probabilities(digits_model, digits, norm):
    x, y = (part[:12] for part in digits)
    model = Model(nn.Sequential(digits_model.net, nn.Softmax(dim=1)), task=digits_model.task)
    model._normalization = digits_model.parts[1]
    assert (model.predict(x) == y).all()
    assert fooled(CarliniWagner(norm=norm, steps=30), model, x, y) == 12


class Cast(nn.Module):
    """Another precision inside; or, of integers, one that has no gradient."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net, self.dtype = net.to(dtype) if dtype.is_floating_point else net, dtype

    def forward(self, x):
        return self.net(x.to(self.dtype)) if self.dtype.is_floating_point else (10 * self.net(x)).to(self.dtype)


def cast(model, dtype):
    found = Model(Cast(model.net, dtype), task=model.task)
    found._normalization = model.parts[1]
    return found


EACH = [FGSM(eps=0.1), PGD(eps=0.1, steps=5), DeepFool(), FAB(steps=5), JSMA(gamma=0.5), TrustRegion(),
        CarliniWagner(searches=3, steps=20, initial_c=1.0)]  # fmt: skip


@pytest.mark.parametrize("attack", EACH, ids=lambda attack: type(attack).__name__)
def test_a_network_in_double_precision_is_fooled_alike(digits_model, digits, attack):
    double = cast(ENTRIES["digits:convnet"].load(), torch.float64)
    assert double(digits[0]).dtype == torch.float32
    assert abs(fooled(attack, double, *digits) - fooled(attack, digits_model, *digits)) <= 1


@pytest.mark.parametrize("attack", EACH, ids=lambda attack: type(attack).__name__)
def test_a_network_that_counts_has_no_gradient(digits, attack):
    counting = cast(ENTRIES["digits:convnet"].load(), torch.int64)
    with pytest.raises(GradientError, match="do not depend on the images by any gradient"):
        attack(counting, *digits)


def test_a_network_of_16_bits_has_a_hash_of_its_own(digits_model):
    half = cast(ENTRIES["digits:convnet"].load(), torch.bfloat16)
    assert half.sha != cast(ENTRIES["digits:convnet"].load(), torch.float64).sha
