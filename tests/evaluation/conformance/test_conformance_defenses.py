"""A defense that breaks a promise is told which, what was seen, and what to do."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from foolbench.core import InputError, InputTransform
from foolbench.evaluation.conformance import NOT_CHECKED, check


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
class Flat(Good):
    """Has no gradient, and hides that behind one of zeros."""

    def transform(self, x, *, rng):
        return 0 * x + (0.5 * x).detach()


@dataclass(frozen=True, kw_only=True)
class Cut(Good):
    """Has no gradient where it is white."""

    def transform(self, x, *, rng):
        return torch.where(x < 1, x, x.detach())


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
        (Undeclared(), "facts_are_stated", "add randomized = True or False"),
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
        (Rounding(), "gradient_is_as_declared", "Say differentiable = False"),
        (Wrong(), "gradient_is_as_declared", "autograd says"),
        (Flat(), "gradient_is_as_declared", "zero everywhere"),
        (Cut(), "black_and_white_have_a_gradient", "to a white image"),
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


def test_an_input_error_is_a_refusal():
    @dataclass(frozen=True, kw_only=True)
    class Colour(Good):
        """Three channels."""

        def transform(self, x, *, rng):
            if x.shape[1] != 3:
                raise InputError("Expected three channels.")
            return x

    assert check(Colour())["one_channel_works_or_is_refused"] is None


def test_one_missing_fact_is_one_broken_promise():
    found = check(Undeclared())
    assert [name for name, seen in found.items() if seen and not seen.startswith(NOT_CHECKED)] == ["facts_are_stated"]
    assert found["batch_does_not_matter"] == NOT_CHECKED + 'see "facts are stated".'
    assert found["describes_itself"] is None


def test_what_several_raise_alike_is_said_once():
    @dataclass(frozen=True, kw_only=True)
    class Broken(Good):
        """Cannot transform."""

        def transform(self, x, *, rng):
            raise RuntimeError("out of luck")

    found = check(Broken())
    assert "out of luck" in found["images_stay_images"]
    assert sum("out of luck" in (seen or "") for seen in found.values()) <= 2  # once more in a sentence of its own
