"""The predictions of the bare network and of each defended system for the image before and after the attack."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ...attacks import PGD
from ...core.errors import ConfigError, FoolbenchError
from ...core.learned_defense import LearnedDefense
from ...core.model import Model
from ...core.registry import NOTHING, defenses
from ...core.seeding import Draws
from ...core.threat import parse_eps
from .subject import target_class

STEPS, TARGETED_STEPS = 20, 40


class Attacked(NamedTuple):
    """The clean image, the untargeted and the targeted adversarial image, (1, C, H, W) each, and the target's name."""

    clean: Tensor
    untargeted: Tensor
    targeted: Tensor
    target: str


class Answer(NamedTuple):
    """A system's prediction, its confidence in [0, 1], and whether it differs from that for the clean image."""

    label: str
    confidence: float
    fooled: bool

    def __str__(self) -> str:
        return f"{self.label} {100 * self.confidence:.0f}%"


class Answers(NamedTuple):
    """The predictions of one system for the three images, or the `problem` why there are none."""

    system: str
    answers: tuple[Answer, ...]
    problem: str = ""


def attacked(model: Model, x: Tensor, target: str | None, eps: str) -> Attacked:
    """Attack an image (1, C, H, W) by PGD on the bare network, untargeted and towards `target`.

    Raises ConfigError for an invalid budget or target.
    """
    towards = target_class(model, target, model(x))
    away = PGD(eps=parse_eps(eps), steps=STEPS)(model, x, rng=0)
    reach = PGD(eps=parse_eps(eps), steps=TARGETED_STEPS, targeted=True)
    there = reach(model, x, torch.tensor([towards]), rng=0)
    return Attacked(x, away, there, model.class_name(towards))


def answers(model: Model, images: Attacked) -> Iterator[Answers]:
    """Yield the predictions of the bare network, and of each defense that needs no training, in its default setting."""
    yield Answers(NOTHING, _answers(model, images))
    for name in defenses:
        try:
            defense = defenses.create(name, {})
        except ConfigError:  # no default setting: a chain depends on its steps
            continue
        if isinstance(defense, LearnedDefense):
            continue
        try:
            yield Answers(name, _answers(defense.defend(model), images))
        except FoolbenchError as error:  # such as an image that is too small for the defense
            yield Answers(name, (), str(error))


def _answers(system: Model, images: Attacked) -> tuple[Answer, ...]:
    """Return a system's predictions; a randomized one draws the same random numbers for each image.

    Images go through one at a time, because a defense may make thirty views of each.
    """
    with torch.no_grad():
        outputs = torch.cat([system(x, rng=Draws.of(0, "demo", samples=[0])) for x in images[:3]])
    confidences, labels = outputs.softmax(dim=1).max(dim=1)
    found = list(zip(labels.tolist(), confidences.tolist(), strict=True))
    return tuple(Answer(system.class_name(label), sure, label != found[0][0]) for label, sure in found)
