"""Networks that are sure of everything, or answer in other units, are fooled as often as they are wrong otherwise."""

import pytest
import torch
from foolbench.attacks import APGD, BIM, FGSM, PGD, CarliniWagner
from foolbench.attacks._losses import log_odds
from foolbench.core import Model
from foolbench.core.norms import size
from foolbench.datasets import Digits
from torch import nn


@pytest.fixture(scope="module")
def digits(digits_model):
    x, _ = Digits().load(0, 64)
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
        APGD(eps=0.1, steps=10),
    ],
    ids=lambda attack: f"{type(attack).__name__}-{attack.norm}",
)
def test_gradients_do_not_vanish(digits_model, digits, scaled, attack, scale):
    # the surer a network, the more of its log-odds is the runner-up's lead: nearly the same function, not quite
    assert fooled(attack, scaled(digits_model, scale), *digits) >= fooled(attack, digits_model, *digits) - 2 > 5


@pytest.mark.parametrize("norm", ["l2", "linf", "l0"])
def test_carlini_wagner_is_as_near_in_small_logits(digits_model, digits, scaled, norm):
    """On black and white, where the tanh variable hardly moves the image, gradients of 1e-10 count as well."""
    x, y = (part[:32] for part in digits)
    plain, small = (CarliniWagner(norm=norm, steps=60, initial_c=c) for c in (1e-2, 1e2))
    expected, found = plain(digits_model, x, y), small(scaled(digits_model, 1e-4), x, y)
    assert (digits_model.predict(found) != y).all()
    assert size(found - x, norm).mean() <= 1.01 * size(expected - x, norm).mean()


@pytest.mark.parametrize("norm", ["l2", "linf", "l0"])
def test_carlini_wagner_fools_all_probabilities(digits_model, digits, norm):
    x, y = (part[:32] for part in digits)
    model = Model(nn.Sequential(digits_model.net, nn.Softmax(dim=1)), task=digits_model.task)
    model.parts = model.net, digits_model.parts[1]
    assert (model.predict(x) == y).all()
    assert fooled(CarliniWagner(norm=norm, steps=60), model, x, y) == 32
