"""The answers of the bare network and of each defended system to the image before and after the attack."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ...attacks import PGD
from ...core.errors import ConfigError, FoolbenchError
from ...core.learned_defense import LearnedDefense
from ...core.model import Model
from ...core.registry import NOTHING, defenses
from ...core.seeding import Draws
from ...core.task import Drawing
from ...core.threat import parse_eps
from .subject import chosen_aim, target_class

STEPS, TARGETED_STEPS = 20, 40


class Attacked(NamedTuple):
    """The clean image, the untargeted and the targeted adversarial image, (1, C, H, W) each, and the target's name.

    The target is a class or, of a network that answers with maps, an aim of its task such as the flipped map.
    """

    clean: Tensor
    untargeted: Tensor
    targeted: Tensor
    target: str


class Answer(NamedTuple):
    """A system's prediction, its confidence in [0, 1], and whether it differs from that for the clean image.

    Of a map, the label is "as before" and the confidence the share of it that is as for the clean image; it differs if
    that is less than half.
    """

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
    budget = parse_eps(eps)
    away, reach = PGD(eps=budget, steps=STEPS), PGD(eps=budget, steps=TARGETED_STEPS)
    if model.task.class_scores is None:
        aim = chosen_aim(model, target)
        return Attacked(x, away(model, x, rng=0), replace(reach, aim=aim)(model, x, rng=0), aim)
    towards = target_class(model, target, model(x))
    there = replace(reach, targeted=True)(model, x, torch.tensor([towards]), rng=0)
    return Attacked(x, away(model, x, rng=0), there, model.class_name(towards))


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


def drawn(model: Model, images: Attacked) -> Drawing | None:
    """Return the maps that the bare network answers the three images with as pictures; None if it gives no maps."""
    found = model.task.predict(_outputs(model, images))
    return model.task.draw(found, model.class_name)


def _outputs(system: Model, images: Attacked) -> Tensor:
    """Return a system's outputs; a randomized one draws the same random numbers for each image.

    Images go through one at a time, because a defense may make thirty views of each.
    """
    with torch.no_grad():
        return torch.cat([system(x, rng=Draws.of(0, "demo", samples=[0])) for x in images[:3]])


def _answers(system: Model, images: Attacked) -> tuple[Answer, ...]:
    outputs = _outputs(system, images)
    if system.task.class_scores is None:
        predictions = system.task.predict(outputs)
        return _as_before(system.task.agreement(predictions, predictions[:1].expand_as(predictions)).tolist())
    confidences, labels = outputs.softmax(dim=1).max(dim=1)
    found = list(zip(labels.tolist(), confidences.tolist(), strict=True))
    return tuple(Answer(system.class_name(label), sure, label != found[0][0]) for label, sure in found)


def _as_before(shares: Sequence[float]) -> tuple[Answer, ...]:
    """Return answers that are maps, by the share of each that is as for the clean image."""
    return tuple(Answer("as before", share, share < 0.5) for share in shares)
