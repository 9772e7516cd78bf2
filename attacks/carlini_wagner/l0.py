"""C&W's L0 attack (section VI.B of the paper): freeze the values that matter least while the attack succeeds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...core.model import Model
from ...core.norms import per_row
from ...core.seeding import Draws
from .._gradient import loss_and_gradient
from .goal import Goal
from .search import LARGEST_C, PROGRESS, window_of
from .variable import TanhVariable

if TYPE_CHECKING:
    from . import CarliniWagner

_SHARE = 0.2  # of the free values, frozen at once; halved whenever that was too many


@dataclass
class Images:
    """What the attack knows of the images it still works on; every field has a row for each."""

    rows: Tensor
    x: Tensor
    y: Tensor
    draws: Draws
    variable: TanhVariable
    c: Tensor
    free: Tensor  # which values may change
    importance: Tensor  # of the values at the last success, (N, values)
    solution: Tensor  # `variable.w` of the last success
    count: Tensor  # how many values were free then; all and one more before the first
    freeze: Tensor  # how many of them are frozen for the next
    steps: Tensor  # since then
    loss: Tensor  # the lowest since then, before this window
    loss_now: Tensor  # the lowest of this window

    def __getitem__(self, mask: Tensor) -> Images:
        return replace(self, **{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    @classmethod
    def of(cls, x: Tensor, y: Tensor, draws: Draws, initial_c: float) -> Images:
        unknown, values = torch.full((len(x),), torch.inf, device=x.device), x[0].numel()
        return cls(
            rows=torch.arange(len(x), device=x.device), x=x, y=y, draws=draws, variable=(variable := TanhVariable(x)),
            c=torch.full_like(unknown, initial_c), free=torch.ones_like(x).bool(), importance=x.flatten(1),
            solution=variable.w.clone(), count=torch.full_like(y, values + 1), freeze=torch.zeros_like(y),
            steps=torch.zeros_like(y), loss=unknown, loss_now=unknown.clone(),
        )  # fmt: skip


def minimize_l0(attack: CarliniWagner, goal: Goal, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
    """For each image the success that changes fewest values, `x` where there was none.

    The L2 attack goes on from the last success with fewer free values. Success is judged at every step, not after a
    whole L2 search: only how many values are needed counts, not how little they change.
    """
    result, images, index = x.clone(), Images.of(x, y, rng, attack.initial_c), 0
    while len(images.rows):
        z = torch.where(images.free, images.variable.images(), images.x)
        draws = images.draws.fork(index)
        margin, gradient, logits = loss_and_gradient(model, z, images.y, rng=draws, loss=goal.margin)
        reached = goal.reached(logits, images.y)
        delta = z - images.x
        if reached.any():
            result[images.rows[reached]] = z[reached]
            _succeed(images, reached, delta, gradient)
        loss = delta.flatten(1).square().sum(dim=1) + images.c * goal.hinge(margin)
        gradient.neg_().add_(delta.mul_(2).div_(per_row(images.c, z))).mul_(images.free)
        images.variable.descend(z, gradient, torch.full_like(loss, attack.learning_rate))
        images.loss_now = torch.minimum(images.loss_now, loss.masked_fill_(reached, torch.inf))  # of what follows only
        images.steps = (images.steps + 1).masked_fill_(reached, 0)
        images = _review(images, attack)
        index += 1
    return result


def _succeed(images: Images, reached: Tensor, delta: Tensor, gradient: Tensor) -> None:
    """Keep what succeeded, and freeze the values that matter least: those with the smallest |change * slope|."""
    importance = (delta * gradient).abs_().masked_fill_(~images.free, -1).flatten(1)
    images.importance = torch.where(reached[:, None], importance, images.importance)
    images.solution = torch.where(per_row(reached, delta), images.variable.w, images.solution)
    first = images.count > delta[0].numel()
    count = images.free.flatten(1).sum(dim=1)
    images.count = torch.where(reached, count, images.count)
    share = (_SHARE * count).long().clamp_min(1).minimum(count - 1)  # the last one stays free
    images.freeze = torch.where(reached, torch.where(first, share, torch.minimum(images.freeze, share)), images.freeze)
    _freeze(images, reached)


def _freeze(images: Images, which: Tensor) -> None:
    """Free are all values of the last success but the `freeze` least important."""
    place = images.importance.argsort(dim=1, stable=True).argsort(dim=1)  # the frozen ones come first, at -1
    frozen = images.importance.shape[1] - images.count + images.freeze
    free = (place >= frozen[:, None]).reshape(images.free.shape)
    images.free = torch.where(per_row(which, free), free, images.free)
    images.loss, images.loss_now = (part.masked_fill(which, torch.inf) for part in (images.loss, images.loss_now))


def _review(images: Images, attack: CarliniWagner) -> Images:
    """Where the loss has stalled short of success: c rises, `searches` times at most; after that fewer values are
    frozen; and where the failure was with a single one, or one value is left, the image is finished.
    """
    due = (images.steps > 0) & ((images.steps % window_of(attack.steps) == 0) | (images.steps == attack.steps))
    stalled = due & (~(images.loss_now < PROGRESS * images.loss) | (images.steps == attack.steps))
    last = images.c > 0.99 * min(attack.initial_c * 10.0 ** (attack.searches - 1), LARGEST_C)
    raised, failed = stalled & ~last, stalled & last
    images.c = torch.where(raised, 10 * images.c, images.c)
    images.steps = images.steps.masked_fill(stalled, 0)
    images.loss = torch.minimum(images.loss, images.loss_now.masked_fill(~due, torch.inf)).masked_fill_(
        raised, torch.inf
    )
    images.loss_now = images.loss_now.masked_fill(due, torch.inf)
    if failed.any():
        images.freeze = torch.where(failed, images.freeze // 2, images.freeze)
        images.variable.w = torch.where(per_row(failed, images.x), images.solution, images.variable.w)
        _freeze(images, failed)
    succeeded = images.count <= images.importance.shape[1]
    going = ~((images.freeze == 0) & (failed | succeeded))
    return images if going.all() else images[going]
