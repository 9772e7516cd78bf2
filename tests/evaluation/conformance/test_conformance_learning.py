"""A defense that learns, and breaks a promise while it does, is told which, what was seen, and what to do."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.core import InputError, LearnedTransform
from foolbench.evaluation.conformance import NOT_CHECKED, check


@dataclass(frozen=True, kw_only=True)
class Learner(LearnedTransform):
    """Learns the mean colour, and leaves the images as they are."""

    differentiable = True
    randomized = False

    def learn(self, data, *, rng):
        return {"mean": data.images.mean(dim=(0, 2, 3))}

    def transform(self, x, learned, *, rng):
        return x


class Gambler(Learner):
    """Learns noise."""

    def learn(self, data, *, rng):
        return {"noise": torch.rand(3)}


class Quiet(Learner):
    """Draws to no effect."""

    def learn(self, data, *, rng):
        torch.rand(3)
        return super().learn(data, rng=rng)


class Raising(Learner):
    """Raises."""

    def learn(self, data, *, rng):
        raise RuntimeError("out of\nluck")


class Tensorial(Learner):
    """Returns a tensor."""

    def learn(self, data, *, rng):
        return torch.zeros(3)


class Listing(Learner):
    """Returns a list by name."""

    def learn(self, data, *, rng):
        return {"mean": [0.5]}


class Labelled(Learner):
    """Needs labels, and says so."""

    def learn(self, data, *, rng):
        if data.labels is None:
            raise InputError("Expected training images with labels, got none.")
        return {"mean": data.labels.float().mean()[None]}


class Needy(Labelled):
    """Needs labels."""

    def learn(self, data, *, rng):
        return {"mean": data.labels.float().mean()[None]}


class Spoiler(Learner):
    """Changes what it learns from."""

    def learn(self, data, *, rng):
        return {"images": data.images.mul_(0.5)}


@pytest.mark.parametrize(
    ("defense", "promise", "sentence"),
    [
        (Gambler(), "learning_is_repeatable", "draw every random number from rng"),
        (Quiet(), "learning_leaves_global_random_state_alone", "draw from rng instead"),
        (Raising(), "it_learns", "Raising.learn raised RuntimeError: out of luck"),
        (Tensorial(), "it_learns", "returned a Tensor; return a dictionary"),
        (Listing(), "it_learns", r"returned \[0.5\] as 'mean'"),
        (Needy(), "without_labels_it_learns_or_says_that_it_cannot", "raise InputError there"),
        (Spoiler(), "learning_leaves_images_and_model_alone", r"images.clone\(\)"),
    ],
    ids=lambda case: case if isinstance(case, str) and "_" in case else None,
)
def test_a_learner_that_breaks_a_promise_is_told(defense, promise, sentence):
    found = check(defense)
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(found[promise])
    if promise == "it_learns":
        assert found["images_stay_images"] == NOT_CHECKED + 'see "it learns".'


def test_a_good_learner_is_told_nothing():
    assert set(check(Learner()).values()) == {None}
    assert set(check(Labelled()).values()) == {None}
