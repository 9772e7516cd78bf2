"""C&W's L0 attack (section VI.B of the paper): freeze the values that matter least while the attack succeeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from ...core.model import Model
from ...core.norms import per_row
from ...core.seeding import Draws
from .._gradient import unchecked_loss_and_gradient
from .._looks import Parted, asked, asked_of_step
from .._rows import Rows
from .goal import Goal
from .progress import Progress
from .search import LARGEST_C
from .variable import TanhVariable

if TYPE_CHECKING:
    from . import CarliniWagner

_SHARE = 0.2  # of the free values, frozen at once; halved if that was too many


@dataclass
class Support(Rows):
    """The values that may change in each image, and what is known from its last success."""

    free: Tensor  # (N, C, H, W)
    importance: Tensor  # of each value at the last success, (N, values)
    solution: Tensor  # the variable at the last success
    count: Tensor  # how many values were free at the last success; before the first, all and one more
    freeze: Tensor  # how many of these are frozen for the next one

    @classmethod
    def all(cls, variable: Tensor, y: Tensor) -> Self:
        count, importance = torch.full_like(y, variable[0].numel() + 1), torch.zeros_like(variable).flatten(1)
        return cls(torch.ones_like(variable).bool(), importance, variable, count, freeze=torch.zeros_like(y))

    @property
    def known(self) -> Tensor:
        """Whether there was a success."""
        return self.count <= self.importance.shape[1]

    def narrow(self, reached: Tensor, importance: Tensor, variable: Tensor) -> None:
        """Record successes, and freeze their least important values: a share, or what was possible before."""
        importance = importance.masked_fill_(~self.free, -1).flatten(1)
        count = self.free.flatten(1).sum(dim=1)
        share = (_SHARE * count).long().clamp_min(1).minimum(count - 1)  # the last one stays free
        share = torch.where(self.known, torch.minimum(self.freeze, share), share)
        self.importance = torch.where(reached[:, None], importance, self.importance)
        self.solution = torch.where(per_row(reached, variable), variable, self.solution)
        self.count = torch.where(reached, count, self.count)
        self.freeze = torch.where(reached, share, self.freeze)
        self._freeze(reached)

    def halved(self, failed: Tensor) -> Tensor:
        """Return how many values to freeze: half as many after a failure."""
        return torch.where(failed, self.freeze // 2, self.freeze)

    def widen(self, failed: Tensor) -> None:
        """Freeze half as many values after a failure."""
        self.freeze = self.halved(failed)
        self._freeze(failed)

    def _freeze(self, which: Tensor) -> None:
        """Free all values of the last success but the `freeze` least important."""
        place = self.importance.argsort(dim=1, stable=True).argsort(dim=1)  # the frozen ones come first, at -1
        frozen = self.importance.shape[1] - self.count + self.freeze
        free = (place >= frozen[:, None]).reshape(self.free.shape)
        self.free = torch.where(per_row(which, free), free, self.free)


@dataclass
class Thinning(Rows):
    """The state of the images that the attack still works on."""

    rows: Tensor
    x: Tensor
    y: Tensor
    draws: Draws
    variable: TanhVariable
    c: Tensor
    support: Support
    progress: Progress  # since the last success or failure

    @classmethod
    def of(cls, x: Tensor, y: Tensor, draws: Draws, initial_c: float) -> Self:
        variable = TanhVariable(x)
        return cls(
            rows=torch.arange(len(x), device=x.device),
            x=x,
            y=y,
            draws=draws,
            variable=variable,
            c=torch.full((len(x),), initial_c, device=x.device),
            support=Support.all(variable.w.clone(), y),
            progress=Progress.none(len(x), x.device),
        )


def minimize_l0(attack: CarliniWagner, goal: Goal, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
    """Return for each image the success that changes fewest values; `x` if there was none.

    The L2 attack continues from the last success with fewer free values. Success is judged at every step, not after a
    whole L2 search: only how many values are needed counts, not how little they change.
    """
    result, images, index = x.clone(), Thinning.of(x, y, rng, attack.initial_c), 0
    while len(images.rows):
        z = torch.where(images.support.free, images.variable.images(), images.x)
        draws = images.draws.fork(index)
        margin, gradient, logits = unchecked_loss_and_gradient(model, z, images.y, rng=draws, loss=goal.margin)
        reached = goal.reached(logits, images.y)
        delta = z - images.x
        images.progress.add(delta.flatten(1).square().sum(dim=1) + images.c * goal.hinge(margin))
        images.progress.restart(reached)  # with fewer values the loss need not beat that of a success
        due = images.progress.due(attack.steps)
        any_reached, any_due = asked_of_step(model, gradient, logits, reached.any(), due.any())
        if any_reached:
            result[images.rows] = torch.where(per_row(reached, z), z, result[images.rows])
            images.support.narrow(reached, (delta * gradient).abs_(), images.variable.w)
        gradient.neg_().add_(delta.mul_(2).div_(per_row(images.c, z))).mul_(images.support.free)
        images.variable.descend(z, gradient, torch.full_like(images.c, attack.learning_rate))
        if any_reached or any_due:
            images = _review(images, due, attack)
        index += 1
    return result


def _review(images: Thinning, due: Tensor, attack: CarliniWagner) -> Thinning:
    """Raise c, or freeze fewer values, where the loss has stalled short of success; drop finished images.

    c rises `searches` times at most; after that fewer values are frozen. An image is finished if it failed with a
    single frozen value, if one value is left, or if it has had no success.
    """
    support = images.support
    stalled = images.progress.turn(due, attack.steps)
    last = images.c > 0.99 * min(attack.initial_c * 10.0 ** (attack.searches - 1), LARGEST_C)
    failed = stalled & last
    images.c = torch.where(stalled & ~last, 10 * images.c, images.c)
    freeze = support.halved(failed)
    finished = (freeze == 0) & (failed | support.known)
    any_failed, count = asked(failed.any(), finished.sum())
    if any_failed:
        support.widen(failed)
        images.variable.w = torch.where(per_row(failed, images.x), support.solution, images.variable.w)
    return images[Parted.by(finished, count).others] if count else images
