"""Auto-PGD (Croce & Hein 2020, https://arxiv.org/abs/2003.01690): gradient ascent that chooses its own step sizes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row, random_point
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._adaptive import MOMENTUM, RHO, AdaptiveAscent, beats, checkpoints
from ._gradient import loss_and_outputs, unchecked_loss_and_gradient
from ._looks import Parted, asked_of_step
from ._losses import Loss, Objective, check_target_classes, lead, margin, other_classes, rivals
from ._strongest import Strongest

T = TypeVar("T")
_TINY = 1e-12  # guards divisions where several logits are equal


@register_attack("apgd")
@dataclass(frozen=True, kw_only=True)
class APGD(Attack):
    """Projected ascent with momentum from a random start; the step size, first 2 eps, halves where progress stalls.

    The search takes `steps` steps. At each checkpoint an image whose loss rose in fewer than a share `rho` of the last
    steps, or found no new best since the last checkpoint at the same step size, halves its step size and returns to its
    best point. That point is also the result: an adversarial one before others, then the one of largest loss.
    `restarts` repeats the search from other starts.

    `loss` is "ce", the task's own objective, or "dlr", the difference of logits ratio, which does not depend on the
    scale of the logits. With `target_classes` = n > 0 the search goes towards each of the n highest-scoring other
    classes in turn (AutoAttack: 9, "dlr"). That is still an attack away from the class `y`; if `targeted`, `y` are the
    classes to reach.

    With `early_stop` an image is finished once its prediction has left `y` (or reached it, if targeted), possibly
    unchanged. It then lies just beyond this model's boundary: do not score it through another system. Without it, every
    image spends all steps on making its loss larger. On a randomized system no image stops early, and the last points
    count, judged with other draws: the best ones would be the luckiest.

    Raises ConfigError for "dlr" or `target_classes` if the model's outputs are no class scores.
    """

    steps: int = 100
    restarts: int = 1
    loss: Literal["ce", "dlr"] = "ce"
    rho: float = RHO
    target_classes: int = 0
    early_stop: bool = True

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.restarts < 1:
            raise ConfigError(f"Expected steps >= 1 and restarts >= 1, got {self.steps} and {self.restarts}.")
        if self.loss not in ("ce", "dlr"):
            raise ConfigError(f"Expected loss to be ce or dlr, got {self.loss!r}.")
        if not 0 < self.rho < 1:
            raise ConfigError(f"Expected 0 < rho < 1, got {self.rho}.")
        check_target_classes(self.target_classes, targeted=self.targeted)

    @property
    def needs_class_scores(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.loss == "dlr" or self.target_classes > 0

    @property
    def stops_at_boundary(self) -> bool:
        return self.early_stop

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        if model.randomized:
            return self._behind_chance(model, x, y, rng)
        found, loss = x.clone(), x.new_full((len(x),), -torch.inf)
        fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        outputs = model.averaged(x, rng=rng.fork("clean")) if self.early_stop or self.target_classes else None
        if outputs is not None:
            fooled = self.reached(model, outputs, y)
        for run, rival in self._runs(model, outputs, y):
            todo = torch.arange(len(x), device=x.device)
            if self.early_stop:
                todo = todo[~fooled]
            if not len(todo):
                break
            towards = None if rival is None else rival[todo]
            chances = rng.fork(run)[todo]
            for end in self._search(model, todo, x[todo], y[todo], towards, chances, rests=self.early_stop):
                rows = end.rows
                better = beats(end.reached, end.best_loss, fooled[rows], loss[rows])
                found[rows] = torch.where(per_row(better, x), end.best, found[rows])
                loss[rows] = torch.where(better, end.best_loss, loss[rows])
                fooled[rows] = torch.where(better, end.reached, fooled[rows])
        return found

    def _behind_chance(self, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
        """Return the strongest last point of each image, judged with fresh draws, on a randomized system."""
        best = Strongest(model, x, y, targeted=self.targeted, judges=rng.fork("judges"))
        outputs = model.averaged(x, rng=rng.fork("clean")) if self.target_classes else None
        rows = torch.arange(len(x), device=x.device)
        for run, rival in self._runs(model, outputs, y):
            (end,) = self._search(model, rows, x, y, rival, rng.fork(run), rests=False)
            best.offer(end.point)
        return best.points

    def _runs(self, model: Model, outputs: Tensor | None, y: Tensor) -> Iterator[tuple[int, Tensor | None]]:
        """Yield the number of each run, and the classes (N,) that it goes towards, None if there are none."""
        aims: Sequence[Tensor | None] = (None,)
        if self.target_classes and outputs is not None:
            aims = rivals(model, outputs, y, self.target_classes).unbind(dim=1)
        return enumerate(aim for aim in aims for _ in range(self.restarts))

    def _search(
        self, model: Model, rows: Tensor, x: Tensor, y: Tensor, rival: Tensor | None, draws: Draws, *, rests: bool
    ) -> Iterator[AdaptiveAscent]:
        """Search from a random start for each image; yield the images as they finish, known by their `rows`."""
        start = x + random_point(draws, tuple(x.shape[1:]), self.norm, self.eps)
        ascent = AdaptiveAscent(start, self.threat.around(x), rows, y, rival, draws)
        due = checkpoints(self.steps)
        for step in range(self.steps):
            fooled = self._look(model, ascent, step)
            if rests and fooled:
                going, resting = Parted.by(ascent.reached, fooled)
                yield ascent[resting]
                ascent = ascent[going]
                if not len(ascent.rows):
                    return
            if step in due:
                ascent.adapt(self.rho * due[step])
            ascent.move(MOMENTUM if step else 0)
        loss, outputs = self._at_point(model, ascent, self.steps, loss_and_outputs)
        ascent.note(loss, None, self.reached(model, outputs, ascent.y))
        yield ascent

    def _look(self, model: Model, ascent: AdaptiveAscent, step: int) -> int:
        """Record loss and gradient at the points, and return how many images have been fooled so far."""
        loss, gradient, outputs = self._at_point(model, ascent, step, unchecked_loss_and_gradient)
        reached = model.task.reached(model.task.predict(outputs), ascent.y, targeted=self.targeted)
        ascent.note(loss, gradient, reached)
        return asked_of_step(model, gradient, outputs, ascent.reached.sum())[0]

    def _at_point(self, model: Model, ascent: AdaptiveAscent, step: int, evaluate: Callable[..., T]) -> T:
        draws = ascent.draws.fork(step)  # new draws of a randomized system at every step
        ascended, y = self._ascended(model, ascent.y, ascent.rival)
        return evaluate(model, ascent.point, y, rng=draws, loss=ascended)

    def _ascended(self, model: Model, y: Tensor, rival: Tensor | None) -> tuple[Loss, Tensor]:
        """Return a loss and its targets: from `y` to any class or to `rival`, or, targeted, from any class to `y`."""
        if self.loss == "ce":
            return Objective(model.task, targeted=self.targeted or rival is not None), y if rival is None else rival
        if self.targeted:
            return (lambda outputs, y: dlr(outputs, other_classes(outputs, y).argmax(dim=1), y)), y
        return (lambda outputs, y: dlr(model.task.to_leave(outputs, y), y, rival)), y


def dlr(logits: Tensor, y: Tensor, rival: Tensor | None = None) -> Tensor:
    """Return the difference of logits ratio: the lead of the best other class over `y`, relative to a spread of logits.

    The spread is that of the first over the third. Given a `rival`, the lead is that class's, and the spread that of
    the first over the mean of the third and fourth. With fewer classes than that, the result is the lead itself.
    """
    ahead = margin(logits, y) if rival is None else lead(logits, y, rival)
    needed = 3 if rival is None else 4
    if logits.shape[1] < needed:
        return ahead
    top = logits.topk(needed, dim=1).values
    return ahead / (top[:, 0] - top[:, 2:].mean(dim=1) + _TINY)
