"""What the bare network and each of its defended systems say of the image, before and after it was attacked."""

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
    """The image as it was, away from what the network said of it, and towards `target`."""

    clean: Tensor
    untargeted: Tensor
    targeted: Tensor
    target: str


class Answer(NamedTuple):
    """What a system says, how sure it is, and whether it said otherwise of the clean image."""

    label: str
    confidence: float
    fooled: bool

    def __str__(self) -> str:
        return f"{self.label} {100 * self.confidence:.0f}%"


class Answers(NamedTuple):
    """Of one system, to the three images; `problem` says why there are none."""

    system: str
    answers: tuple[Answer, ...]
    problem: str = ""


def attacked(model: Model, x: Tensor, target: str | None, eps: str) -> Attacked:
    """By PGD on the bare network. Raises ConfigError for a budget or a target that makes no sense."""
    towards = target_class(model, target, model(x))
    away = PGD(eps=parse_eps(eps), steps=STEPS)(model, x, rng=0)
    reach = PGD(eps=parse_eps(eps), steps=TARGETED_STEPS, targeted=True)
    there = reach(model, x, torch.tensor([towards]), rng=0)
    return Attacked(x, away, there, model.class_name(towards))


def answers(model: Model, images: Attacked) -> Iterator[Answers]:
    """Of the bare network, and of each defense in its default setting that need not learn."""
    yield Answers(NOTHING, _answers(model, images))
    for name in defenses:
        try:
            defense = defenses.create(name, {})
        except ConfigError:  # a chain is what its steps are
            continue
        if isinstance(defense, LearnedDefense):
            continue
        try:
            yield Answers(name, _answers(defense.defend(model), images))
        except FoolbenchError as error:  # an image that is too small for it, say
            yield Answers(name, (), str(error))


def _answers(system: Model, images: Attacked) -> tuple[Answer, ...]:
    """One image at a time: there may be thirty views of each. Where a system is random, it draws the same for all."""
    with torch.no_grad():
        outputs = torch.cat([system(x, rng=Draws.of(0, "demo", samples=[0])) for x in images[:3]])
    confidences, labels = outputs.softmax(dim=1).max(dim=1)
    found = list(zip(labels.tolist(), confidences.tolist(), strict=True))
    return tuple(Answer(system.class_name(label), sure, label != found[0][0]) for label, sure in found)
