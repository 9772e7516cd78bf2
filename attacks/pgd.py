"""Projected gradient descent (Madry et al. 2018, https://arxiv.org/abs/1706.06083)."""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import LATER, Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, random_point
from ..core.registry import register_attack
from ..core.seeding import Draws
from ..core.strength import Strength, strength
from ..core.task import Task
from ._gradient import check_finite, unchecked_loss_and_gradient
from ._looks import Parted, asked_of_step
from ._losses import Loss, Objective


@register_attack("pgd")
@dataclass(frozen=True, kw_only=True)
class PGD(Attack):
    """Steepest ascent of the loss in `steps` steps, each projected onto the threat; the last point counts.

    `step_size` is in pixel space; None means 2.5 eps / steps, the paper's choice. `random_start` starts at a uniform
    point of the ball, and `restarts` repeats that; per image the strongest end counts: one that reached the goal, of
    maps then the one that changed most pixels, then the one with the largest loss. If `targeted`, the loss towards `y`
    descends. Under L1 a step fills the values with the largest gradients up to black or white.

    With an `aim` the attack descends towards another answer made of `y`: for maps "flip-left-right" and "flip-up-down",
    for depths also "nearer" and "farther", by a tenth (Wong, Cicek and Soatto, NeurIPS 2020, whose loss is the relative
    difference).

    With `early_stop` an image is finished once its prediction has left `y` (or reached it, if targeted), possibly
    unchanged, which saves the rest of its steps. It then lies just beyond this model's boundary: do not score it
    through another system.
    """

    steps: int = 40
    step_size: float | None = None
    random_start: bool = True
    restarts: int = 1
    early_stop: bool = False
    aim: str | None = field(default=None, metadata={LATER: True})

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2", "l1")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 0 or self.restarts < 1:
            raise ConfigError(f"Expected steps >= 0 and restarts >= 1, got {self.steps} and {self.restarts}.")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise ConfigError(f"Expected a finite step_size > 0, or none, got {self.step_size}.")
        if self.restarts > 1 and not self.random_start:
            raise ConfigError("restarts > 1 without random_start would repeat one run; set random_start = true.")
        if self.aim is not None and self.targeted:
            raise ConfigError(f"Expected targeted = false with aim = {self.aim!r}, which makes the targets itself.")

    def check_task(self, task: Task) -> None:
        """Raise ConfigError also for an aim that the task does not know."""
        super().check_task(task)
        if self.aim is not None and self.aim not in task.aims:
            known = f"one of {', '.join(task.aims)}" if task.aims else "none, for answers are no maps"
            raise ConfigError(f"Expected the aim of an attack on {task} to be {known}; got {self.aim!r}.")

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.random_start

    @property
    def stops_at_boundary(self) -> bool:
        return self.early_stop

    @property
    def aims(self) -> bool:
        return super().aims or self.aim is not None

    def goals(self, task: Task, y: Tensor) -> Tensor | None:
        return super().goals(task, y) if self.aim is None else task.aims[self.aim](y)

    @property
    def length(self) -> float:
        """The length of a step, in pixel space."""
        return self.step_size or 2.5 * self.eps / max(self.steps, 1)

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        if self.aim is not None:
            towards = model.task.aims[self.aim](y)
            return replace(self, aim=None, targeted=True).perturb(model, x, towards, rng=rng)
        if not (self.early_stop and self.random_start):  # without a random start the first step sees the image itself
            return self._search(model, x, y, rng)
        found = x.clone()
        resisting = ~self.reached(model, model.averaged(x, rng=rng.fork("clean")), y)
        if resisting.any():
            found[resisting] = self._search(model, x[resisting], y[resisting], rng[resisting])
        return found

    def ascended(self, model: Model, step: int) -> Loss:
        """Return the loss that the step of this number, from 0, ascends."""
        return Objective(model.task, targeted=self.targeted)

    def _search(self, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
        """Return the best restart of every image."""
        if self.restarts == 1:
            return self._ascend(model, x, y, rng.fork(0))
        best, known, judges = x.clone(), Strength.none(x), rng.fork("judges")
        todo = torch.arange(len(x), device=x.device)
        for restart in range(self.restarts):
            points = self._ascend(model, x[todo], y[todo], rng.fork(restart)[todo])
            found = strength(model, points, y[todo], targeted=self.targeted, rng=judges[todo])
            better = found.beats(known.at(todo))
            best[todo[better]] = points[better]
            known.put(todo[better], found.at(better))
            if self.early_stop:
                todo = todo[found.reached < 1]
            if not len(todo):
                break
        return best

    def _ascend(self, model: Model, x: Tensor, y: Tensor, draws: Draws) -> Tensor:
        """Return the last iterate of every image."""
        start = random_point(draws, tuple(x.shape[1:]), self.norm, self.eps) if self.random_start else 0
        ball = self.threat.around(x)
        z = ball.project_(x + start)
        ended, rows = torch.empty_like(x), torch.arange(len(x), device=x.device)  # `rows` go on, at points `z`
        for index in range(self.steps):
            loss = self.ascended(model, index)
            fresh = draws.fork(index)  # new draws of a randomized system at every step
            _, gradient, outputs = unchecked_loss_and_gradient(model, z, y, rng=fresh, loss=loss)
            if self.early_stop:
                reached = model.task.reached(model.task.predict(outputs), y, targeted=self.targeted)
                (resting,) = asked_of_step(model, gradient, outputs, reached.sum())
                if resting:
                    going, there = Parted.by(reached, resting)
                    ended[rows[there]] = z[there]
                    rows, z, y, gradient = (part[going] for part in (rows, z, y, gradient))
                    ball, draws = ball[going], draws[going]
                if not len(rows):
                    break
            else:
                check_finite(model, gradient)
            ball.ascend_(z, gradient, self.length)
        ended[rows] = z
        return ended
