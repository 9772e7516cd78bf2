"""Every built-in keeps its promises, and whoever breaks one is told which, what was seen, and what to do."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from foolbench.core import Attack, ConfigError, InputError, InputTransform, UnknownNameError, attacks, defenses
from foolbench.defenses import JPEG
from foolbench.evaluation.conformance import (
    ATTACK_CHECKS,
    DEFENSE_CHECKS,
    check,
    checks_of,
    named,
    parametrize_with_checks,
    prepared,
)

PARAMETERS = {  # what makes them quick, or possible at all
    "autoattack": {"steps": 5, "queries": 40},
    "carlini-wagner": {"searches": 2, "steps": 20},
    "compose": {"steps": [{"name": "gaussian"}, {"name": "jpeg"}]},
    "fab": {"steps": 5},
    "fff": {"max_iterations": 20},
    "gd-uap": {"max_iterations": 20},
    "square": {"queries": 40},
    "universal-pgd": {"max_iterations": 20},
}
NAMES = [*attacks, *defenses]


@pytest.mark.parametrize("name", NAMES)
def test_built_ins_keep_their_promises(name):
    found = check(prepared(named(name, PARAMETERS.get(name, {}))))
    assert len(found) in (len(ATTACK_CHECKS), len(DEFENSE_CHECKS))
    assert not {promise: seen for promise, seen in found.items() if seen}


@dataclass(frozen=True, kw_only=True)
class Good(InputTransform):
    """Darker by a half."""

    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        return 0.5 * x


class Silent(Good):
    pass


@dataclass(frozen=True, kw_only=True)
class Undeclared(Good):
    """Says nothing about randomness."""

    randomized = None


@dataclass(frozen=True, kw_only=True)
class Holding(Good):
    """Holds something that cannot be pickled."""

    function: object = lambda: 0


@dataclass(frozen=True, kw_only=True)
class Doubling(Good):
    """In double precision."""

    def transform(self, x, *, rng):
        return x.double()


@dataclass(frozen=True, kw_only=True)
class Brighter(Good):
    """Leaves the range."""

    def transform(self, x, *, rng):
        return x + 0.1


@dataclass(frozen=True, kw_only=True)
class Stretch(Good):
    """Stretches the contrast; there is none in a constant image."""

    def transform(self, x, *, rng):
        low, high = (bound[:, None, None, None] for bound in (x.flatten(1).amin(1), x.flatten(1).amax(1)))
        return (x - low) / (high - low)


@dataclass(frozen=True, kw_only=True)
class ColourOnly(Good):
    """Knows three channels."""

    def transform(self, x, *, rng):
        return x[:, [2, 1, 0]]


@dataclass(frozen=True, kw_only=True)
class Open(Good):
    """Takes anything."""

    def __call__(self, x, *, rng=None):
        return x


@dataclass(frozen=True, kw_only=True)
class InPlace(Good):
    """Changes what it is given."""

    def transform(self, x, *, rng):
        with torch.no_grad():
            return x.mul_(0.5)


@dataclass(frozen=True, kw_only=True)
class Dice(Good):
    """Draws where it should not."""

    randomized = True

    def transform(self, x, *, rng):
        return (x + 0.1 * torch.rand_like(x)).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class NumpyDice(Good):
    """Draws where it should not, though to no effect."""

    def transform(self, x, *, rng):
        return 0.5 * x + 0 * float(np.random.rand())  # noqa: NPY002 (that is the fault)


@dataclass(frozen=True, kw_only=True)
class Secret(Good):
    """Draws from its streams and does not say so."""

    def transform(self, x, *, rng):
        return (x + rng.uniform(x.shape[1:], -0.1, 0.1)).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class Steady(Good):
    """Says that it is random."""

    randomized = True


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Good):
    """Divides by the batch's maximum."""

    def transform(self, x, *, rng):
        return x / x.mean() * 0.2 % 1.0


@dataclass(frozen=True, kw_only=True)
class Rounding(Good):
    """Has the gradient zero."""

    def transform(self, x, *, rng):
        return (x * 7).round() / 7


@dataclass(frozen=True, kw_only=True)
class Wrong(Good):
    """Has the gradient of something else."""

    def transform(self, x, *, rng):
        return 0.3 * x + (0.7 * x).detach()


@dataclass(frozen=True, kw_only=True)
class Blind(Rounding):
    """Has a surrogate without a gradient."""

    differentiable = False

    def surrogate(self, x, *, rng):
        return 0 * x


@pytest.mark.parametrize(
    ("defense", "promise", "sentence"),
    [
        (Silent(), "describes_itself", "has no docstring"),
        (Undeclared(), "describes_itself", "add randomized = True or False"),
        (Holding(), "configuration_survives_pickling", "keep only plain values"),
        (Doubling(), "images_stay_images", "return float32"),
        (Brighter(), "images_stay_images", r"Values in \[0.1, 1.1\] came back; clamp"),
        (Stretch(), "extreme_images_stay_images", "division by zero"),
        (ColourOnly(), "one_channel_works_or_is_refused", "or raise InputError"),
        (Open(), "bad_images_are_refused", "NaN went through"),
        (InPlace(), "input_is_left_alone", "work on a copy"),
        (Dice(), "randomness_is_declared", "draw every random number from rng"),
        (Dice(), "global_random_state_is_left_alone", "drew from a global random generator"),
        (NumpyDice(), "global_random_state_is_left_alone", "drew from a global random generator"),
        (Secret(), "randomness_is_declared", "say randomized = True"),
        (Steady(), "randomness_is_declared", "or say randomized = False"),
        (BatchNorm(), "batch_does_not_matter", "treat every image by itself"),
        (Rounding(), "gradient_is_as_declared", "say differentiable = False"),
        (Wrong(), "gradient_is_as_declared", "autograd says"),
        (Blind(), "adaptive_attack_sees_the_defended_system", "give a surrogate"),
    ],
    ids=lambda case: case if isinstance(case, str) and "_" in case else None,
)
def test_a_defense_that_breaks_a_promise_is_told(defense, promise, sentence):
    seen = check(defense)[promise]
    assert seen is not None
    assert "\n" not in seen
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(seen)


def test_a_good_one_is_told_nothing():
    assert set(check(Good()).values()) == {None}


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


@pytest.mark.parametrize(
    ("attack", "promise", "sentence"),
    [
        (TooFar(eps=0.1), "budget_is_kept", "Project the result"),
        (Vandal(eps=0.1), "model_and_images_are_left_alone", "weights have changed"),
        (Gambler(eps=0.1), "randomness_is_declared", "draw every random number from rng"),
        (Gambler(eps=0.1), "global_random_state_is_left_alone", "draw from rng instead"),
        (Average(eps=0.1), "batch_does_not_matter", "no mean over the batch"),
        (Normalised(eps=0.1), "flat_models_do_no_harm", "gradient's norm"),
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


@parametrize_with_checks([JPEG(), Push(eps="8/255")])
def test_as_pytest_parameters(subject, check):
    assert check in checks_of(subject)
    check.run(subject)


def test_only_attacks_and_defenses_promise_anything():
    with pytest.raises(ConfigError, match="Expected an attack or a defense"):
        check(torch.nn.ReLU())


SOURCE = '''
from dataclasses import dataclass
from foolbench.core import InputTransform

@dataclass(frozen=True, kw_only=True)
class Darker(InputTransform):
    """Darker by a factor."""
    factor: float = 0.5
    differentiable = True
    randomized = False
    def transform(self, x, *, rng):
        return self.factor * x
'''


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "darker.py"
    path.write_text(SOURCE)
    return path


def test_a_class_in_a_file(foolbench, source):
    code, out, err = foolbench("check", f"{source}:Darker")
    assert (code, err) == (0, "")
    assert f"keeps {len(DEFENSE_CHECKS)} of {len(DEFENSE_CHECKS)} promises" in " ".join(out.split())
    code, out, _ = foolbench("check", f"{source}:Darker", "--set", "factor=1.5")
    assert code == 1
    assert "clamp to [0, 1]" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jpg"], "Unknown attack or defense 'jpg': did you mean 'jpeg'"),
        (["{}:Lighter"], "has no class 'Lighter'"),
        (["{}"], "the class as well"),
        (["nowhere.py:Darker"], "found none at nowhere.py"),
        (["jpeg", "--set", "quality=0"], "JPEG quality in 1..100"),
        (["jpeg", "--set", "strength=1"], "Unknown parameter"),
        (["{}:dataclass"], "no class"),
    ],
)
def test_bad_names_are_one_sentence(foolbench, source, arguments, sentence):
    code, _, err = foolbench("check", *(argument.format(source) for argument in arguments))
    assert code == 2
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="pgd"):
        named("pdg", {})


def test_attacks_of_foolbox_survive_pickling():
    assert check(named("foolbox:LinfPGD", {"steps": 3}))["configuration_survives_pickling"] is None


def test_an_input_error_is_a_refusal():
    @dataclass(frozen=True, kw_only=True)
    class Colour(Good):
        """Three channels."""

        def transform(self, x, *, rng):
            if x.shape[1] != 3:
                raise InputError("Expected three channels.")
            return x

    assert check(Colour())["one_channel_works_or_is_refused"] is None
