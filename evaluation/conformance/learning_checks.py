"""Checks of defenses that learn, made before the defense is fitted, beside those of all defenses."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...core.defense import Defense, LearningData
from ...core.errors import InputError, one_line
from ...core.learned import Learned
from ...core.learned_defense import LearnedDefense
from ...core.seeding import Draws
from ..grid.lessons import learning_parts
from .checks import Check, global_random_states, hold, images, model

IMAGES = 32


def it_learns(defense: Defense) -> None:
    """`learn` returns tensors by name when it is given a few training images."""
    for part in learning_parts(defense):
        try:
            found: object = _learn(part)
        except Exception as error:  # noqa: BLE001 (any error breaks the promise)
            hold(False, f"{type(part).__name__}.learn raised {one_line(error)}")
            return
        what = f"{type(part).__name__}.learn returned"
        hold(isinstance(found, Mapping), f"{what} a {type(found).__name__}; return a dictionary of tensors by name.")
        for name, value in dict(found).items():  # pyright: ignore[reportArgumentType, reportCallIssue] (a mapping)
            named = f"{value!r:.40}" if not isinstance(value, Tensor) else "a tensor"
            is_named = isinstance(name, str) and isinstance(value, Tensor)
            hold(is_named, f"{what} {named} as {name!r}; return tensors, each under a name.")


def learning_is_repeatable(defense: Defense) -> None:
    """Learning from the same images with the same seed gives the same tensors."""
    for part in learning_parts(defense):
        same = Learned(_learn(part)) == Learned(_learn(part))
        hold(same, f"Two calls of {type(part).__name__}.learn differ; draw every random number from rng.")


def learning_leaves_global_random_state_alone(defense: Defense) -> None:
    """Learning draws no random number from the global generators of torch, NumPy or Python."""
    for part in learning_parts(defense):
        before = global_random_states()
        _learn(part)
        drawn = before != global_random_states()
        hold(not drawn, f"{type(part).__name__}.learn drew from a global random generator; draw from rng instead.")


def learning_leaves_images_and_model_alone(defense: Defense) -> None:
    """Learning changes neither the training images nor the model."""
    for part in learning_parts(defense):
        data = _data()
        before, weights = data.images.clone(), copy.deepcopy(data.model.net.state_dict())
        _learn(part, data)
        hold(torch.equal(data.images, before), "The training images have changed; work on a copy, images.clone().")
        same = all(torch.equal(weights[name], tensor) for name, tensor in data.model.net.state_dict().items())
        hold(same and not data.model.net.training, "The model has changed; learn beside it, or on a copy of its net.")


def without_labels_it_learns_or_says_that_it_cannot(defense: Defense) -> None:
    """Without labels for the training images, the defense learns all the same or raises InputError."""
    for part in learning_parts(defense):
        try:
            _learn(part, replace(_data(), labels=None))
        except InputError:
            continue
        except Exception as error:  # noqa: BLE001 (any other error breaks the promise)
            hold(False, f"Without labels {type(part).__name__}.learn raised {one_line(error)}; raise InputError there.")


LEARNING_CHECKS = [
    Check(it_learns),
    *(
        Check(check, needs=("it_learns",))
        for check in (
            learning_is_repeatable,
            learning_leaves_global_random_state_alone,
            learning_leaves_images_and_model_alone,
            without_labels_it_learns_or_says_that_it_cannot,
        )
    ),
]


def _data() -> LearningData:
    network, x = model(), images(IMAGES)
    return LearningData(images=x, model=network, labels=network.predict(x))


def _learn(part: LearnedDefense, data: LearningData | None = None) -> dict[str, Tensor]:
    data = data or _data()
    return part.learn(part.shown(data), rng=Draws.of(0, "learning", samples=[0], device=data.images.device))
