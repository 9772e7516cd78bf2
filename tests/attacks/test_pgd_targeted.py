"""The gradient attack of Liang et al.'s report is a choice of PGD's parameters, no attack of its own.

100 iterations descend the loss towards a random class, and no pixel moves by more than N.
"""

import pytest
from foolbench.attacks import PGD
from foolbench.core import Draws
from foolbench.datasets.digits import Digits

N = "80/255"


@pytest.fixture(scope="module")
def setting(digits_model):
    x, _ = Digits().load(range(48))
    predicted = digits_model.predict(x)
    shift = 1 + Draws.of("random targets", samples=range(48)).integers(9)
    return x, predicted, (predicted + shift) % 10


def test_random_targets_are_reached(digits_model, setting):
    x, predicted, target = setting
    assert (target != predicted).all()
    attack = PGD(eps=N, steps=100, random_start=False, targeted=True)
    adversarial = attack(digits_model, x, target)
    assert (adversarial - x).abs().max() <= attack.eps + 1e-6
    assert (digits_model.predict(adversarial) == target).all()
    losses = [digits_model.task.loss(digits_model(images), target) for images in (x, adversarial)]
    assert (losses[1] < losses[0]).all()


def test_more_iterations_descend_further(digits_model, setting):
    x, _, target = setting
    attacks = [PGD(eps=N, steps=steps, step_size=0.005, random_start=False, targeted=True) for steps in (0, 5, 20, 100)]
    losses = [
        digits_model.task.loss(digits_model(attack(digits_model, x, target)), target).mean() for attack in attacks
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5 * losses[1]
