"""PGD towards a class that the model then is sure of."""

import pytest
import torch
from foolbench.attacks import PGD, ConfidentPGD
from foolbench.attacks.confident_pgd import _drawn
from foolbench.core import ConfigError, Draws
from foolbench.datasets import Digits

COUNT = 40


@pytest.fixture(scope="module")
def images():
    return Digits().load(range(COUNT))[0]


def draws():
    return Draws.of(3, samples=range(COUNT))


@pytest.mark.parametrize("goal", ["random", "any"])
def test_what_counts_is_wrong_and_sure_and_the_rest_is_as_it_was(digits_model, images, goal):
    own = digits_model.predict(images)
    attack = ConfidentPGD(eps=0.2, steps=20, goal=goal, confidence=0.9)
    found = attack(digits_model, images, rng=draws())
    changed = (found != images).flatten(1).any(dim=1)
    sure, said = digits_model(found).softmax(dim=1).max(dim=1)
    assert 0 < int(changed.sum()) < COUNT
    assert (sure[changed] >= 0.9).all()
    assert (said[changed] != own[changed]).all()
    if goal == "random":
        assert torch.equal(said[changed], _drawn(digits_model, own, draws().fork("goal"))[changed])


def test_any_class_with_any_confidence_is_pgd(digits_model, images):
    plain = PGD(eps=0.2, steps=10)(digits_model, images, rng=draws())
    found = ConfidentPGD(eps=0.2, steps=10, goal="any", confidence=0.0)(digits_model, images, rng=draws())
    assert torch.equal(found, plain)


def test_targets_are_all_other_classes_alike(digits_model):
    y = torch.full((9000,), 4)
    counts = _drawn(digits_model, y, Draws.of(0, samples=range(9000))).bincount(minlength=10)
    assert counts[4] == 0
    assert (counts[counts > 0] - 1000).abs().max() < 150
    assert (counts > 0).sum() == 9


@pytest.mark.parametrize("facts", [{"targeted": True}, {"goal": "best"}, {"confidence": 1.0}, {"steps": -1}], ids=str)
def test_refuses_what_makes_no_sense(facts):
    with pytest.raises(ConfigError, match=next(iter(facts))):
        ConfidentPGD(eps=0.1, **facts)
