"""C&W's search over c, in L2 and Linf: minimise distance + c * hinge for ever better c, each image for itself."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...core.model import Model
from ...core.norms import per_row, size
from ...core.seeding import Draws
from .._gradient import loss_and_gradient
from .goal import Goal
from .variable import TanhVariable

if TYPE_CHECKING:
    from . import CarliniWagner

LARGEST_C = 1e10
PROGRESS = 0.99  # a window that leaves more than this share of the loss and of the norm was in vain
_TIGHT = 0.8  # L2: c is found once the largest that fails is this close to the smallest that succeeds
_CLOSER = (
    0.7  # Linf: tau is 0.9 of the norm, as in the authors' code, and after each search closer to it by this factor
)


def window_of(steps: int) -> int:
    """How many steps pass between two looks at an image's progress: a twentieth of a search, so that more steps mean
    more patience (the paper looks ten times), but ten at least, which Adam needs to turn round.
    """
    return min(max(10, steps // 20), steps)


@dataclass
class Images:
    """What the search knows of the images it still works on; every field has a row for each."""

    rows: Tensor
    x: Tensor
    y: Tensor
    draws: Draws
    variable: TanhVariable
    c: Tensor
    fails: Tensor  # the largest c that failed
    works: Tensor  # the smallest that succeeded
    norm: Tensor  # the smallest of a success
    tau: Tensor  # what Linf does not count
    gap: Tensor  # 1 - tau / norm
    searches: Tensor
    steps: Tensor  # of this search
    loss: Tensor  # the lowest of this search before this window
    loss_now: Tensor  # the lowest of this window
    norm_before: Tensor  # `norm` when this window began
    success: Tensor  # whether this window had one

    def __getitem__(self, mask: Tensor) -> Images:
        return replace(self, **{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    @classmethod
    def of(cls, x: Tensor, y: Tensor, draws: Draws, initial_c: float) -> Images:
        def full(value: float) -> Tensor:
            return torch.full((len(x),), value, device=x.device)

        rows, none = torch.arange(len(x), device=x.device), torch.zeros_like(y)
        return cls(
            rows=rows, x=x, y=y, draws=draws, variable=TanhVariable(x), c=full(initial_c), fails=full(0),
            works=full(torch.inf), norm=full(torch.inf), tau=full(1), gap=full(0.1), searches=none, steps=none.clone(),
            loss=full(torch.inf), loss_now=full(torch.inf), norm_before=full(torch.inf), success=none.bool(),
        )  # fmt: skip


def minimize_distance(attack: CarliniWagner, goal: Goal, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
    """The nearest success of each image, `x` where there was none.

    One descent goes through all values of c. Restarting it for each, as the paper does, makes Adam take again and again
    large first steps that it needs a hundred more to recover from. It descends distance / c + hinge, whose slope keeps
    its size as c changes, so that Adam's moments stay good.
    """
    result, images, index = x.clone(), Images.of(x, y, rng, attack.initial_c), 0
    while len(images.rows):
        z = images.variable.images()
        draws = images.draws.fork(index)  # a randomized system is met with new draws at every step
        margin, gradient, logits = loss_and_gradient(model, z, images.y, rng=draws, loss=goal.margin)
        reached = goal.reached(logits, images.y)
        delta = z - images.x
        norm = size(delta, attack.norm)
        closer = reached & (norm < images.norm)
        if closer.any():
            result[images.rows[closer]] = z[closer]
            images.norm = torch.where(closer, norm, images.norm)
        distance, slope = _distance(delta, images.tau, attack)
        gradient.mul_(per_row(-(~reached).float(), z)).add_(slope.div_(per_row(images.c, z)))
        images.variable.descend(z, gradient, _rate(images, attack))

        images.steps += 1
        images.success |= reached
        images.loss_now = torch.minimum(images.loss_now, distance + images.c * goal.hinge(margin))
        images = _review(images, attack)
        index += 1
    return result


def _distance(delta: Tensor, tau: Tensor, attack: CarliniWagner) -> tuple[Tensor, Tensor]:
    """The distance (N,) that is minimised, and its slope: ||delta||^2, or under Linf the sum of what exceeds tau."""
    if attack.norm == "l2":
        return delta.flatten(1).square().sum(dim=1), 2 * delta
    excess = (delta.abs() - per_row(tau, delta)).clamp_min_(0)
    return excess.flatten(1).sum(dim=1), excess.sign_().mul_(delta.sign())


def _rate(images: Images, attack: CarliniWagner) -> Tensor:
    """The learning rate, or less where a step of it would be as long as the way from x, and jump about the optimum.

    A step of rate r moves no value by more than r / 2. Linf feels the one value that moves most, L2 their average.
    """
    value = 0.1 * images.norm if attack.norm == "linf" else images.norm / images.x[0].numel() ** 0.5
    return value.clamp_max(attack.learning_rate)


def _review(images: Images, attack: CarliniWagner) -> Images:
    """At the end of a window: end the searches that have stalled, and drop the images that are finished.

    A search goes on for as long as each window lowers its loss or the image's norm. It then counts as a success if its
    last window had one: those of earlier windows may be the inheritance of a larger c.
    """
    due = (images.steps % window_of(attack.steps) == 0) | (images.steps == attack.steps)
    if not due.any():
        return images
    progress = (images.loss_now < PROGRESS * images.loss) | (images.norm < PROGRESS * images.norm_before)
    ended = due & (~progress | (images.steps == attack.steps))
    settled = _next_c(images, ended, attack)
    images.tau = torch.where(due, ((1 - images.gap) * images.norm).clamp_max(1), images.tau)
    images.loss = torch.minimum(images.loss, images.loss_now.masked_fill(~due, torch.inf))
    images.loss.masked_fill_(ended, torch.inf)
    images.loss_now.masked_fill_(due, torch.inf)
    images.norm_before = torch.where(due, images.norm, images.norm_before)
    images.success &= ~due
    images.steps.masked_fill_(ended, 0)
    images.searches += ended
    going = ~(ended & (settled | (images.searches == attack.searches)))
    return images if going.all() else images[going]


def _next_c(images: Images, ended: Tensor, attack: CarliniWagner) -> Tensor:
    """Choose c for the images whose search has ended, and say for which it is found.

    Linf has no bracket: tau moves on, and c with it, so c rises by 10 after a failure and falls by 2 after a success.
    """
    c, works = images.c, ended & images.success
    if attack.norm == "linf":
        following, settled = torch.where(works, c / 2, 10 * c), torch.zeros_like(works)
        images.gap = torch.where(ended & images.norm.isfinite(), _CLOSER * images.gap, images.gap)
    else:
        images.works = torch.where(works, torch.minimum(c, images.works), images.works)
        images.fails = torch.where(ended & ~works, torch.maximum(c, images.fails), images.fails)
        following = torch.where(images.works.isinf(), 10 * c, (images.fails + images.works) / 2)
        settled = images.fails > _TIGHT * images.works
    images.c = torch.where(ended, following.clamp_max(LARGEST_C), c)
    return settled
