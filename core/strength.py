"""How strong adversarial images are: what several attacks on one image are compared by."""

from typing import NamedTuple

import torch
from torch import Tensor

from .model import Model
from .seeding import Draws

JUDGES = 20
"""Evaluations of a randomized system that judge a point: by one, or by those it was found with, luck would decide."""


class Strength(NamedTuple):
    """Of images (N,): the share of evaluations that reached the goal, how much of each answer is where it should be (of
    maps, the pixels), both as means, and how the loss of all stands towards it.
    """

    reached: Tensor
    share: Tensor
    loss: Tensor

    def at(self, rows: Tensor) -> "Strength":
        return Strength(*(part[rows] for part in self))

    def beats(self, other: "Strength") -> Tensor:
        """Which (N,) reach the goal more often; or as often with more of the answer; or with as much and more loss."""
        better = self.loss > other.loss
        for mine, theirs in ((self.share, other.share), (self.reached, other.reached)):
            better = (mine > theirs) | ((mine == theirs) & better)
        return better

    def improved(self, other: "Strength") -> "Strength":
        """The stronger of the two, image by image."""
        better = other.beats(self)
        return Strength(*(torch.where(better, new, old) for new, old in zip(other, self, strict=True)))


def strength(model: Model, points: Tensor, y: Tensor, *, targeted: bool, rng: Draws) -> Strength:
    """How far `points` (N, C, H, W) have left the predictions `y`, or reached them where `targeted`.

    A randomized system is evaluated JUDGES times, with the streams `rng`: give others than those the points were found
    with, and the same ones for points that are compared. Raises InputError for outputs that are no answer.
    """
    reached, shares, objectives = [], [], []
    with torch.no_grad():
        for outputs in model.through(model.shells, draws=JUDGES).each(points, rng=rng):
            model.task.check_outputs(outputs, len(points))
            found = model.task.predict(outputs)
            reached.append(model.task.reached(found, y, targeted=targeted).float())
            shares.append(model.task.share(found, y, targeted=targeted).float())
            seen = outputs if targeted else model.task.to_leave(outputs, y)
            objectives.append(model.task.objective(seen, y))
    loss = model.task.expected(torch.stack(objectives, dim=1))
    return Strength(torch.stack(reached).mean(dim=0), torch.stack(shares).mean(dim=0), -loss if targeted else loss)
