"""C&W's search over c, in L2 and Linf: minimise distance + c * hinge for better and better c, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from ...core.model import Model
from ...core.norms import per_row, size
from ...core.seeding import Draws
from .._gradient import unchecked_loss_and_gradient
from .._looks import Parted, asked, asked_of_step
from .._rows import Rows
from .goal import Goal
from .progress import Progress, fell
from .variable import TanhVariable

if TYPE_CHECKING:
    from . import CarliniWagner

LARGEST_C = 1e10
_TIGHT = 0.8  # L2: c is found once the largest that fails is this share of the smallest that succeeds
_CLOSER = (
    0.7  # Linf: tau is 0.9 of the norm, as in the authors' code, and after each search closer to it by this factor
)


@dataclass
class Weights(Rows):
    """The weight c of each image's hinge and, under Linf, the threshold tau, with the bounds that are known."""

    c: Tensor
    tried: Tensor  # how many values of c were tried
    fails: Tensor  # L2: the largest c that failed
    works: Tensor  # L2: the smallest that succeeded
    tau: Tensor  # Linf: smaller changes do not count as distance
    gap: Tensor  # Linf: 1 - tau / norm

    @classmethod
    def of(cls, y: Tensor, initial_c: float) -> Self:
        def full(value: float) -> Tensor:
            return torch.full(y.shape, value, device=y.device)

        return cls(
            full(initial_c), torch.zeros_like(y), fails=full(0), works=full(torch.inf), tau=full(1), gap=full(0.1)
        )

    def follow(self, ended: Tensor, success: Tensor, attack: CarliniWagner) -> Tensor:
        """Choose the next c of those whose search has `ended`; return a mask of those whose c is found."""
        works, fails = ended & success, ended & ~success
        if attack.norm == "linf":  # no bisection: tau moves on, and c with it
            following, settled = torch.where(works, self.c / 2, 10 * self.c), torch.zeros_like(works)
        else:
            self.works = torch.where(works, torch.minimum(self.c, self.works), self.works)
            self.fails = torch.where(fails, torch.maximum(self.c, self.fails), self.fails)
            following = torch.where(self.works.isinf(), 10 * self.c, (self.fails + self.works) / 2)
            settled = self.fails > _TIGHT * self.works
        self.c = torch.where(ended, following.clamp_max(LARGEST_C), self.c)
        self.tried = self.tried + ended
        return settled


@dataclass
class Nearing(Rows):
    """The state of the images that the search still works on."""

    rows: Tensor
    x: Tensor
    y: Tensor
    draws: Draws
    variable: TanhVariable
    weights: Weights
    progress: Progress
    norm: Tensor  # the smallest norm of a success
    norm_before: Tensor  # `norm` when this window began
    success: Tensor  # whether this window had one

    @classmethod
    def of(cls, x: Tensor, y: Tensor, draws: Draws, initial_c: float) -> Self:
        unknown = torch.full((len(x),), torch.inf, device=x.device)
        return cls(
            rows=torch.arange(len(x), device=x.device),
            x=x,
            y=y,
            draws=draws,
            variable=TanhVariable(x),
            weights=Weights.of(y, initial_c),
            progress=Progress.none(len(x), x.device),
            norm=unknown,
            norm_before=unknown.clone(),
            success=torch.zeros_like(y, dtype=torch.bool),
        )


def minimize_distance(attack: CarliniWagner, goal: Goal, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
    """Return the nearest success of each image; `x` if there was none.

    One descent goes through all values of c. Restarting it for each, as the paper does, makes Adam take again and again
    large first steps that it needs a hundred more to recover from. It descends distance / c + hinge, whose gradient
    keeps its size as c changes, so that Adam's moments stay good. Before the first success, as c rises, it is the
    gradient of the distance that shrinks; remembered at its size, it would freeze an image for thousands of steps. The
    moments are scaled by the root of the factor, between that gradient and the hinge's, which stays.
    """
    result, images, index = x.clone(), Nearing.of(x, y, rng, attack.initial_c), 0
    while len(images.rows):
        z = images.variable.images()
        draws = images.draws.fork(index)  # new draws of a randomized system at every step
        margin, gradient, logits = unchecked_loss_and_gradient(model, z, images.y, rng=draws, loss=goal.margin)
        reached = goal.reached(logits, images.y)
        delta = z - images.x
        norm = size(delta, attack.norm)
        closer = reached & (norm < images.norm)
        distance, slope = _distance(delta, images.weights.tau, attack)
        images.progress.add(distance + images.weights.c * goal.hinge(margin))
        due = images.progress.due(attack.steps)
        any_closer, any_due = asked_of_step(model, gradient, logits, closer.any(), due.any())
        if any_closer:
            result[images.rows] = torch.where(per_row(closer, z), z, result[images.rows])
            images.norm = torch.where(closer, norm, images.norm)
        gradient.mul_(per_row(-(~reached).float(), z)).add_(slope.div_(per_row(images.weights.c, z)))
        images.variable.descend(z, gradient, _rate(images, attack))

        images.success = images.success | reached
        if any_due:
            images = _review(images, due, attack)
        index += 1
    return result


def _distance(delta: Tensor, tau: Tensor, attack: CarliniWagner) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) to minimise and its gradient: ||delta||^2, or under Linf the sum of what exceeds tau."""
    if attack.norm == "l2":
        return delta.flatten(1).square().sum(dim=1), 2 * delta
    excess = (delta.abs() - per_row(tau, delta)).clamp_min_(0)
    return excess.flatten(1).sum(dim=1), excess.sign_().mul_(delta.sign())


def _rate(images: Nearing, attack: CarliniWagner) -> Tensor:
    """Return the learning rate, or less where a step would be as long as the way from x, and jump about the optimum.

    A step of rate r moves no value by more than r / 2. Linf depends on the value that moves most, L2 on their average.
    """
    value = 0.1 * images.norm if attack.norm == "linf" else images.norm / images.x[0].numel() ** 0.5
    return value.clamp_max(attack.learning_rate)


def _review(images: Nearing, due: Tensor, attack: CarliniWagner) -> Nearing:
    """End the stalled searches among those whose window ends, the `due`, and drop finished images.

    A search goes on for as long as each window lowers its loss or the image's norm. It then counts as a success if its
    last window had one: those of earlier windows may be due to a larger c.
    """
    weights = images.weights
    ended = images.progress.turn(due, attack.steps, otherwise=fell(images.norm, images.norm_before))
    before = weights.c
    settled = weights.follow(ended, images.success, attack)
    images.variable.rescale(torch.where(images.norm.isinf(), (before / weights.c).sqrt(), 1))
    if attack.norm == "linf":
        weights.gap = torch.where(ended & images.norm.isfinite(), _CLOSER * weights.gap, weights.gap)
        weights.tau = torch.where(due, ((1 - weights.gap) * images.norm).clamp_max(1), weights.tau)
    images.norm_before = torch.where(due, images.norm, images.norm_before)
    images.success = images.success & ~due
    finished = ended & (settled | (weights.tried == attack.searches))
    (count,) = asked(finished.sum())
    return images[Parted.by(finished, count).others] if count else images
