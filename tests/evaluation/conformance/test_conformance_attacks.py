"""An attack that breaks a promise is told which, what was seen, and what to do."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.core import Attack
from foolbench.evaluation.conformance import check, named


@dataclass(frozen=True, kw_only=True)
class Push(Attack):
    """Brightens."""

    access = "none"

    def perturb(self, model, x, y, *, rng):
        return x + self.eps


@dataclass(frozen=True, kw_only=True)
class TooFar(Push):
    """Brightens by more than it may."""

    def perturb(self, model, x, y, *, rng):
        return x + 2 * self.eps


@dataclass(frozen=True, kw_only=True)
class Vandal(Push):
    """Makes every image a success."""

    def perturb(self, model, x, y, *, rng):
        for parameter in model.net.parameters():
            parameter.data.zero_()
        return x


@dataclass(frozen=True, kw_only=True)
class Gambler(Push):
    """Draws where it should not."""

    def perturb(self, model, x, y, *, rng):
        return x + self.eps * torch.rand_like(x)


@dataclass(frozen=True, kw_only=True)
class Average(Push):
    """Goes by the batch's mean."""

    def perturb(self, model, x, y, *, rng):
        return x + self.eps * (x - x.mean()).clamp(-1, 1)


@dataclass(frozen=True, kw_only=True)
class Normalised(Push):
    """Divides by the norm of the gradient."""

    access = "gradient"

    def perturb(self, model, x, y, *, rng):
        point = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model.task.loss(model.logits(point, rng=rng), y).sum(), point)
        return x + (gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]).clamp(-self.eps, self.eps)


@dataclass(frozen=True, kw_only=True)
class Humble(Normalised):
    """Says that scores are enough."""

    access = "score"


@dataclass(frozen=True, kw_only=True)
class Deaf(Normalised):
    """Gives the model no streams."""

    def perturb(self, model, x, y, *, rng):
        return super().perturb(model, x, y, rng=None)


@pytest.mark.parametrize(
    ("attack", "promise", "sentence"),
    [
        (TooFar(eps=0.1), "budget_is_kept", "Project the result"),
        (Vandal(eps=0.1), "model_and_images_are_left_alone", "weights have changed"),
        (Gambler(eps=0.1), "randomness_is_declared", "draw every random number from rng"),
        (Gambler(eps=0.1), "global_random_state_is_left_alone", "draw from rng instead"),
        (Average(eps=0.1), "batch_does_not_matter", "no mean over the batch"),
        (Normalised(eps=0.1), "flat_models_do_no_harm", "gradient's norm"),
        (Deaf(eps=0.1), "random_systems_can_be_attacked", r"rng=rng\.fork\(step\)"),
        (Humble(eps=0.1), "access_is_what_it_says", "correct access"),
    ],
    ids=lambda case: case if isinstance(case, str) and "_" in case else None,
)
def test_an_attack_that_breaks_a_promise_is_told(attack, promise, sentence):
    seen = check(attack)[promise]
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(seen)


def test_a_good_attack_is_told_nothing():
    assert set(check(Push(eps=0.1)).values()) == {None}


@pytest.mark.parametrize("name", ["pgd", "apgd", "fab", "carlini-wagner"])
def test_targeted_attacks_keep_the_same_promises(name):
    few = {"searches": 2, "initial_c": 1.0, "steps": 5} if name == "carlini-wagner" else {"steps": 5}
    assert set(check(named(name, {"targeted": True, **few})).values()) == {None}


def test_attacks_of_foolbox_survive_pickling():
    assert check(named("foolbox:LinfPGD", {"steps": 3}))["configuration_survives_pickling"] is None
