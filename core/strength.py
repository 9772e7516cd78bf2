"""How strong adversarial images are: what several attacks on one image are compared by."""

from typing import NamedTuple

import torch
from torch import Tensor

from .model import Model
from .seeding import Draws

JUDGES = 5
"""Evaluations of a randomized system that judge a point: by one, or by those it was found with, luck would decide."""


class Strength(NamedTuple):
    """Of images (N,): the share of evaluations that reached the goal, and the mean loss towards it."""

    reached: Tensor
    loss: Tensor

    def at(self, rows: Tensor) -> "Strength":
        return Strength(self.reached[rows], self.loss[rows])

    def beats(self, other: "Strength") -> Tensor:
        """Which (N,) reach the goal more often, or as often with a larger loss."""
        more, as_often = self.reached > other.reached, self.reached == other.reached
        return more | (as_often & (self.loss > other.loss))

    def improved(self, other: "Strength") -> "Strength":
        """The stronger of the two, image by image."""
        better = other.beats(self)
        return Strength(*(torch.where(better, new, old) for new, old in zip(other, self, strict=True)))


def strength(model: Model, points: Tensor, y: Tensor, *, targeted: bool, rng: Draws) -> Strength:
    """How far `points` (N, C, H, W) have left the predictions `y`, or reached them where `targeted`.

    A randomized system is evaluated JUDGES times, with the streams `rng`: give others than those the points were found
    with, and the same ones for points that are compared. Raises InputError for outputs that are no answer.
    """
    reached, losses = [], []
    with torch.no_grad():
        for outputs in model.through(model.shells, draws=JUDGES).each(points, rng=rng):
            model.task.check_outputs(outputs, len(points))
            reached.append(model.task.reached(model.task.predict(outputs), y, targeted=targeted))
            losses.append(model.task.loss(outputs if targeted else model.task.to_leave(outputs, y), y))
    gained = torch.stack(losses).mean(dim=0)
    return Strength(torch.stack(reached).float().mean(dim=0), -gained if targeted else gained)
