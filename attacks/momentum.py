"""Projected ascent with momentum (Dong et al. 2018, https://arxiv.org/abs/1710.06081), in steps that become smaller."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row, random_point
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._adaptive import beats, take
from ._gradient import loss_and_outputs, unchecked_loss_and_gradient
from ._looks import asked_of_step
from ._losses import Loss, Objective, check_target_classes, gain, lead, rivals
from ._strongest import Strongest

_TINY = 1e-30  # guards the division by a gradient that is zero


@register_attack("momentum")
@dataclass(frozen=True, kw_only=True)
class Momentum(Attack):
    """Projected ascent along a sum of normalised gradients, in which older ones `decay`, in steps that become smaller.

    The `steps` steps begin with length `step_size`, in pixel space (None: 2 eps, all across the budget), and fall to
    zero along half a cosine: the first ones explore, the last ones settle (the paper: 10 steps of eps / 10, decay 1).
    On a randomized system one evaluation per step is enough, since the sum averages them; `draws` > 0 is their number,
    instead of the model's.

    With `target_classes` = n > 0 the lead of each of the n highest-scoring other classes over `y` is ascended in turn,
    `steps` steps each, and the strongest end counts; that is still an attack away from the class `y`.

    The search begins at the "image", at a "random" point of the budget, or, in an ensemble, at the "strongest" point so
    far. The result is the best point met, an adversarial one before others; on a randomized system, where the best of
    many would be the luckiest, the last one.
    """

    steps: int = 40
    decay: float = 0.9
    step_size: float | None = None
    begin: Literal["image", "random", "strongest"] = "image"
    target_classes: int = 0
    draws: int = 0

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or not 0 <= self.decay <= 1:
            raise ConfigError(f"Expected steps >= 1 and decay in 0..1, got {self.steps} and {self.decay}.")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise ConfigError(f"Expected a finite step_size > 0, or none, got {self.step_size}.")
        if self.begin not in ("image", "random", "strongest"):
            raise ConfigError(f"Expected begin to be image, random or strongest, got {self.begin!r}.")
        if self.draws < 0:
            raise ConfigError(f"Expected draws >= 0, got {self.draws}.")
        check_target_classes(self.target_classes, targeted=self.targeted)

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.begin == "random"

    @property
    def needs_class_scores(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.target_classes > 0

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        if self.begin == "random":
            point = x + random_point(rng.fork("start"), tuple(x.shape[1:]), self.norm, self.eps)
            return self._from(model, x, y, self.threat.around(x).project_(point), rng)
        return self._from(model, x, y, x, rng)

    def go_on(self, model: Model, x: Tensor, y: Tensor, start: Tensor, *, rng: Draws) -> Tensor:
        return self._from(model, x, y, start, rng) if self.begin == "strongest" else self.perturb(model, x, y, rng=rng)

    def _from(self, model: Model, x: Tensor, y: Tensor, start: Tensor, rng: Draws) -> Tensor:
        """Return the strongest end of all ascents from `start`."""
        system = model.through(model.shells, draws=self.draws or model.draws)
        if not self.target_classes:
            return self._climb(system, x, y, start, Objective(system.task, targeted=self.targeted), rng.fork(0))
        best = Strongest(system, start, y, targeted=False, judges=rng.fork("judges"))
        for run, rival in enumerate(self._rivals(system, start, y, rng)):
            ahead = gain(partial(lead, rival=rival), system.task, targeted=False)
            best.offer(self._climb(system, x, y, start, ahead, rng.fork(run)))
        return best.points

    def _rivals(self, model: Model, start: Tensor, y: Tensor, rng: Draws) -> tuple[Tensor, ...]:
        """Return the classes (N,) to ascend towards, one after the other."""
        with torch.no_grad():
            outputs = model.averaged(start, rng=rng.fork("rivals"))
        return rivals(model, outputs, y, self.target_classes).unbind(dim=1)

    def _climb(self, model: Model, x: Tensor, y: Tensor, start: Tensor, loss: Loss, draws: Draws) -> Tensor:
        ball = self.threat.around(x)
        z, direction = ball.project_(start.clone()), torch.zeros_like(x)
        path = _Path(z)
        for step in range(self.steps):
            value, gradient, outputs = unchecked_loss_and_gradient(model, z, y, rng=draws.fork(step), loss=loss)
            asked_of_step(model, gradient, outputs)
            path.note(z, value, model.task.reached(model.task.predict(outputs), y, targeted=self.targeted))
            direction = self.decay * direction + gradient / per_row(_mean_size(gradient), gradient)
            z = ball.ascend_(z, direction.clone(), self._length(step))
        if model.randomized:
            return z
        value, outputs = loss_and_outputs(model, z, y, loss=loss)
        path.note(z, value, self.reached(model, outputs, y))
        return path.best

    def _length(self, step: int) -> float:
        return (self.step_size or 2 * self.eps) * (1 + math.cos(math.pi * step / self.steps)) / 2


def _mean_size(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).abs().mean(dim=1).clamp_min(_TINY)


class _Path:
    """The best point of each image so far."""

    def __init__(self, start: Tensor) -> None:
        self.best = start.clone()
        self._loss = start.new_full((len(start),), -torch.inf)
        self._reached = torch.zeros(len(start), dtype=torch.bool, device=start.device)

    def note(self, z: Tensor, loss: Tensor, reached: Tensor) -> None:
        better = beats(reached, loss, self._reached, self._loss)
        take(self.best, z, better)
        self._loss = torch.where(better, loss, self._loss)
        self._reached = self._reached | reached
