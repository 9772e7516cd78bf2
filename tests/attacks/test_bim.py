"""BIM is PGD with other defaults, and optimal on a linear model."""

from dataclasses import replace

import pytest
import torch
from foolbench.attacks.bim import BIM
from foolbench.attacks.pgd import PGD
from foolbench.core import ConfigError

SHAPE = (2, 3, 4)


@pytest.fixture
def images():
    return torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("facts", [{}, {"steps": 4}, {"step_size": 0.02}, {"steps": 0}], ids=str)
def test_bim_is_pgd_from_the_image_in_steps_that_add_up_to_eps(digits_model, images, norm, targeted, facts):
    y, common = torch.arange(12) % 10, {"eps": 0.1, "norm": norm, "targeted": targeted}
    same = {"steps": 10, "step_size": 0.1 / max(facts.get("steps", 10), 1), "random_start": False} | facts
    assert torch.equal(BIM(**common, **facts)(digits_model, images, y), PGD(**common, **same)(digits_model, images, y))


@pytest.mark.parametrize("facts", [{"random_start": True, "restarts": 2}, {"early_stop": True}], ids=str)
def test_the_other_options_are_those_of_pgd(digits_model, images, facts):
    bim, pgd = BIM(eps=0.1, **facts), PGD(eps=0.1, steps=10, step_size=0.01, **({"random_start": False} | facts))
    assert torch.equal(bim(digits_model, images, rng=1), pgd(digits_model, images, rng=1))


@pytest.mark.parametrize("targeted", [False, True])
def test_linear_optimum_is_reached_by_the_last_step(linear_model, mid_images, targeted):
    model, x = linear_model(2, SHAPE), mid_images(8, SHAPE)
    y = torch.arange(8) % 2
    up = (model.net.weight[1] - model.net.weight[0]).reshape(SHAPE).sign()
    away = torch.where((y == 0) != targeted, 1.0, -1.0)[:, None, None, None] * up
    for done, steps in ((1.0, 7), (0.5, 5)):
        attack = BIM(eps=0.1, steps=steps, step_size=None if done == 1 else 0.01, targeted=targeted)
        torch.testing.assert_close(attack(model, x, y) - x, done * 0.1 * away, rtol=0, atol=1e-6)


def test_eps_of_a_changed_copy_decides_its_steps():
    assert replace(BIM(eps=0.1), eps=0.2) == BIM(eps=0.2)


@pytest.mark.parametrize("facts", [{"steps": -1}, {"step_size": 0.0}, {"restarts": 2}, {"norm": "l0"}], ids=str)
def test_refused(facts):
    with pytest.raises(ConfigError):
        BIM(eps=0.1, **facts)
