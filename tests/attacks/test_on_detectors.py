"""Attacks on a system that may reject an image have to fool it and to stay undetected."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import (
    APGD,
    BIM,
    FAB,
    FGSM,
    JSMA,
    PGD,
    UAP,
    AdaptiveEnsemble,
    CarliniWagner,
    CosPGD,
    DeepFool,
    Momentum,
    SegPGD,
    Square,
    TrustRegion,
)
from foolbench.core import Model, NetworkDefense
from foolbench.core.universal_attack import CraftingData
from foolbench.defenses import adaptive
from foolbench.tasks import Recognition
from torch import nn

REJECTED = 2
ALLOWED = 0.2


class FirstPixel(nn.Module):
    """Class 1 where the first of two pixels exceeds 0.6, else class 0."""

    def forward(self, x):
        first = 10 * (x[:, 0, 0, 0] - 0.6)
        return torch.stack([torch.zeros_like(first), first], dim=1)


@dataclass(frozen=True, kw_only=True)
class SecondPixel(NetworkDefense):
    """Rejects what class 1 is seen in as long as the second pixel exceeds 0.45, or is darker where `slope` < 0."""

    slope: float = 10.0

    differentiable = True
    randomized = False
    abstains = True

    def answer(self, inside, x, *, rng):
        logits = inside(x)
        return torch.cat([logits, logits[:, 1:] + self.slope * (x[:, 0, 0, 1:] - 0.5) + 0.5], dim=1)


@pytest.fixture
def bare():
    return Model(FirstPixel(), task=Recognition(classes=2), shape=(1, 1, 2))


@pytest.fixture
def x():
    return torch.full((5, 1, 1, 2), 0.5)


ATTACKS = [
    FGSM(eps=ALLOWED),
    BIM(eps=ALLOWED),
    PGD(eps=ALLOWED, steps=20),
    Momentum(eps=ALLOWED),
    Momentum(eps=ALLOWED, target_classes=1),
    SegPGD(eps=ALLOWED),
    CosPGD(eps=ALLOWED),
    APGD(eps=ALLOWED, steps=20),
    APGD(eps=ALLOWED, steps=20, loss="dlr"),
    Square(eps=ALLOWED, queries=200),
    AdaptiveEnsemble(eps=ALLOWED, steps=8, queries=20),
    CarliniWagner(eps=1.0, searches=5, initial_c=1.0),
    DeepFool(),
    TrustRegion(norm="linf"),
    FAB(steps=20),
    FAB(steps=20, target_classes=3),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_one_that_knows_the_detector_evades_it(bare, x, attack):
    system = adaptive(SecondPixel(), bare)
    assert system.predict(x).tolist() == [0] * 5
    assert system.predict(attack(system, x, rng=0)).tolist() == [1] * 5


@pytest.mark.parametrize("attack", [FGSM(eps=ALLOWED), BIM(eps=ALLOWED), Momentum(eps=ALLOWED)], ids=repr)
def test_one_that_does_not_is_detected(bare, x, attack):
    found = attack(bare, x, rng=0)
    assert bare.predict(found).tolist() == [1] * 5
    assert SecondPixel().defend(bare).predict(found).tolist() == [REJECTED] * 5


def test_one_that_only_brightens_does_not_take_rejection_for_its_target(bare, x):
    system = adaptive(SecondPixel(slope=-20.0), bare)
    assert system.predict(x).tolist() == [0] * 5
    assert system.averaged(x).argsort(dim=1)[:, 1].tolist() == [REJECTED] * 5
    assert system.predict(JSMA(gamma=1.0, theta=0.2)(system, x, rng=0)).tolist() == [1] * 5


def test_a_target_is_reached_undetected(bare, x):
    system = adaptive(SecondPixel(), bare)
    found = PGD(eps=ALLOWED, steps=20, targeted=True)(system, x, torch.ones(5, dtype=torch.int64), rng=0)
    assert system.predict(found).tolist() == [1] * 5


def test_an_image_that_is_rejected_as_it_is_may_be_let_through(bare):
    system, x = adaptive(SecondPixel(), bare), torch.tensor([[[[0.7, 0.5]]], [[[0.5, 0.5]]]])
    assert system.predict(x).tolist() == [REJECTED, 0]
    for attack in (PGD(eps=ALLOWED, steps=20), AdaptiveEnsemble(eps=ALLOWED, steps=8, queries=20)):
        found = system.predict(attack(system, x, rng=0)).tolist()
        assert found[0] != REJECTED
        assert found[1] == 1


class Detected(UAP):
    """Brings every image to class 1, where the detector rejects it."""

    def _update(self, model, delta, x, y, rng):
        return torch.tensor([[[ALLOWED, 0.0]]])


def test_a_search_does_not_end_because_images_are_rejected(bare, x):
    passes = []
    data = CraftingData(validation=x, load_training=lambda: x, progress=lambda done, *_: passes.append(done))
    attack = Detected(eps=ALLOWED, passes=3, target_rate=0.5)
    attack.craft(adaptive(SecondPixel(), bare), data, rng=0)
    assert passes == [0, 1, 2, 3]
    passes.clear()
    attack.craft(bare, data, rng=0)
    assert passes == [0, 1]


@dataclass(frozen=True, kw_only=True)
class AlwaysRejects(NetworkDefense):
    """Rejects what lies within 0.1 of the middle in the first pixel."""

    differentiable = True
    randomized = False
    abstains = True

    def answer(self, inside, x, *, rng):
        first = x[:, 0, 0, :1] - 0.5
        return torch.cat([-first, first * 0.5, 0.05 - 0.5 * first.abs() - 0.25 * first], dim=1)


@pytest.mark.parametrize("attack", [DeepFool(eps=1.0), FAB(eps=1.0, norm="l2"), Momentum(eps=0.2, target_classes=3)])
def test_from_a_rejection_an_attack_may_go_to_any_class(bare, attack):
    """Class 0 is near, class 1 far: of two classes none may be left out."""
    model = AlwaysRejects().defend(bare)
    x = torch.full((3, 1, 1, 2), 0.5)
    assert model.predict(x).tolist() == [REJECTED] * 3
    found = attack(model, x, rng=0)
    assert model.predict(found).tolist() == [0] * 3
    assert (found - x).abs().amax() <= 0.25
