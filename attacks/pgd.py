"""Projected gradient descent (Madry et al. 2018, https://arxiv.org/abs/1706.06083)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, random_point, steepest
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._gradient import loss_and_gradient


@register_attack("pgd")
@dataclass(frozen=True, kw_only=True)
class PGD(Attack):
    """`steps` steps of steepest ascent of the loss, projected onto the threat after each; the last point counts.

    `step_size` is in pixel space; None means 2.5 eps / steps, the paper's choice. `random_start` begins at a uniform
    point of the ball, `restarts` repeats that; per image the restart counts that reached its goal with the largest
    loss. Under `targeted` the loss towards `y` descends.

    With `early_stop` an image rests once its prediction has left `y` (or reached it, where targeted), which saves the
    rest of its steps. It then lies just beyond this model's boundary: do not score it through another system.
    """

    steps: int = 40
    step_size: float | None = None
    random_start: bool = True
    restarts: int = 1
    early_stop: bool = False

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 0 or self.restarts < 1:
            raise ConfigError(f"Expected steps >= 0 and restarts >= 1, got {self.steps} and {self.restarts}.")
        if self.step_size is not None and not self.step_size > 0:
            raise ConfigError(f"Expected step_size > 0 or none, got {self.step_size}.")
        if self.restarts > 1 and not self.random_start:
            raise ConfigError("restarts > 1 without random_start would repeat one run; set random_start = true.")

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        best = x.clone()
        best_gain = torch.full((len(x),), -torch.inf, device=x.device)
        fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        todo = torch.arange(len(x), device=x.device)
        for restart in range(self.restarts):
            point, gain, reached = self._ascend(model, x[todo], y[todo], rng.fork(restart)[todo])
            better = (reached & ~fooled[todo]) | ((reached == fooled[todo]) & (gain > best_gain[todo]))
            rows = todo[better]
            best[rows], best_gain[rows], fooled[rows] = point[better], gain[better], reached[better]
            if self.early_stop:
                todo = todo[~reached]
            if not len(todo):
                break
        return best

    def _ascend(self, model: Model, x: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """The last iterate of every image, its loss (negated where targeted), and whether it got there."""
        threat, sign = self.threat, -1.0 if self.targeted else 1.0
        step = self.step_size or 2.5 * self.eps / max(self.steps, 1)
        start = random_point(draws, tuple(x.shape[1:]), self.norm, self.eps) if self.random_start else 0
        z = threat.project(x + start, x)
        active: Tensor | slice = slice(None)
        for index in range(self.steps):
            fresh = draws.fork(index)[active]  # a randomized system is met with new draws at every step
            _, gradient, outputs = loss_and_gradient(model, z[active], y[active], rng=fresh)
            if self.early_stop:
                going = ~self._reached(model, outputs, y[active])
                active, gradient = torch.arange(len(x), device=x.device)[active][going], gradient[going]
                if not len(active):
                    break
            moved = steepest(gradient, self.norm).mul_(sign * step).add_(z[active])
            z[active] = threat.project(moved, x[active])
        with torch.no_grad():
            outputs = model.logits(z, rng=draws.fork(self.steps))
        return z, sign * model.task.loss(outputs, y), self._reached(model, outputs, y)

    def _reached(self, model: Model, outputs: Tensor, y: Tensor) -> Tensor:
        changed = model.task.predict(outputs) != y
        return ~changed if self.targeted else changed
