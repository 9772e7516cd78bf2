"""The strength of adversarial images, by which several attacks on one image are compared."""

from typing import NamedTuple

import torch
from torch import Tensor

from .model import Model
from .seeding import Draws

JUDGES = 20
"""Evaluations of a randomized system that judge a point: with one, or those it was found with, luck would decide."""


class Strength(NamedTuple):
    """The strength of adversarial images: three tensors (N,), in the order in which they decide.

    `reached` is the share of evaluations that reached the goal, `share` the mean share of each answer that is where it
    should be (of maps, of the pixels), and `loss` the expected loss, which rises towards the goal.
    """

    reached: Tensor
    share: Tensor
    loss: Tensor

    @classmethod
    def none(cls, points: Tensor) -> "Strength":
        """Return what any strength of these points beats."""
        return cls(*(points.new_full((len(points),), -torch.inf) for _ in cls._fields))

    def at(self, rows: Tensor) -> "Strength":
        return Strength(*(part[rows] for part in self))

    def put(self, rows: Tensor, found: "Strength") -> None:
        """Overwrite these rows."""
        for part, new in zip(self, found, strict=True):
            part[rows] = new

    def beats(self, other: "Strength") -> Tensor:
        """Return a mask (N,) of what is stronger: by `reached`, if these are equal by `share`, then by `loss`."""
        better = self.loss > other.loss
        for mine, theirs in ((self.share, other.share), (self.reached, other.reached)):
            better = (mine > theirs) | ((mine == theirs) & better)
        return better

    def improved(self, other: "Strength") -> "Strength":
        """Return the stronger of the two, image by image."""
        better = other.beats(self)
        return Strength(*(torch.where(better, new, old) for new, old in zip(other, self, strict=True)))


def strength(model: Model, points: Tensor, y: Tensor, *, targeted: bool, rng: Draws) -> Strength:
    """Return how far `points` (N, C, H, W) have left the predictions `y`, or reached them if `targeted`.

    A randomized system is evaluated JUDGES times, with the streams `rng`: use others than those the points were found
    with, and the same ones for points that are compared. Raises InputError for outputs that do not fit the task.
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
