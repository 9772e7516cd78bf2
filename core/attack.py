"""The base classes of attacks on single images, for a budget and with as small a perturbation as can be."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from .errors import BudgetError, ConfigError
from .model import Model
from .norms import Norm
from .seeding import Draws, as_draws
from .task import Task
from .threat import Eps, Threat

Access = Literal["none", "decision", "score", "features", "gradient"]
"""The access to a model that an attack needs: none, its decisions, scores, layer features or gradients."""
MOST = 10**9
"""The largest parameter of an attack: larger ones overflow somewhere inside."""
LATER = "later"
"""Metadata key of a field added after results were published: with its default, names and streams are as before."""


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """The base of all attacks: their threat, and what they need of a model. The repr is an attack's identity.

    `norms` are supported; `access` and `needs_class_scores` say what the attack needs of a model. `randomized`: it
    draws random numbers; `one_step`: it takes a single step; `needs_budget`: `eps` is finite, as all other numbers but
    those that `may_be_infinite` names.
    """

    eps: Eps
    norm: Norm = "linf"

    access: ClassVar[Access]
    norms: ClassVar[tuple[Norm, ...]] = ("linf",)
    randomized: ClassVar[bool] = False
    one_step: ClassVar[bool] = False
    needs_budget: ClassVar[bool] = True
    needs_class_scores: ClassVar[bool] = False
    may_be_infinite: ClassVar[tuple[str, ...]] = ("eps",)

    def __post_init__(self) -> None:
        if not hasattr(self, "access"):
            raise ConfigError(
                f"{type(self).__name__} does not say what it needs of a model; add to its class "
                f"access = one of {', '.join(map(repr, get_args(Access)))}."
            )
        object.__setattr__(self, "eps", self.threat.eps)  # Threat parses "8/255" and rejects invalid budgets
        if self.needs_budget and math.isinf(self.eps):
            raise ConfigError(f"{type(self).__name__} works within a budget: expected a finite eps, got {self.eps}.")
        if self.norm not in self.norms:
            raise ConfigError(f"{type(self).__name__} works in {' and '.join(self.norms)}, got norm={self.norm!r}.")
        for name, value in vars(self).items():
            unlimited = name in self.may_be_infinite and not math.isfinite(value)
            if isinstance(value, int | float) and not unlimited and not abs(value) <= MOST:  # NaN is not, either
                raise ConfigError(f"{type(self).__name__}: expected a finite {name} up to {MOST:,}, got {value:.3g}.")

    @property
    def threat(self) -> Threat:
        return Threat(norm=self.norm, eps=self.eps)

    def check_task(self, task: Task) -> None:
        """Raise ConfigError for a task that the attack does not apply to."""
        if self.needs_class_scores and task.class_scores is None:
            raise ConfigError(
                f"{type(self).__name__} takes an image from one class to another: expected a model of image "
                f"recognition, for its class logits, got one for {task}."
            )


@dataclass(frozen=True, kw_only=True)
class Attack(Budgeted, ABC):
    """An image attack: one perturbation per image. Subclasses are frozen dataclasses that implement `perturb`.

    If `targeted`, `y` are the targets to reach, otherwise the answers to leave. `batch_matters` marks attacks that draw
    random numbers per batch, so that the result for an image depends on the other images of its batch.
    """

    targeted: bool = False

    batch_matters: ClassVar[bool] = False

    @property
    def aims(self) -> bool:
        """Whether the attack drives predictions towards certain answers, which `goals` gives."""
        return self.targeted

    @property
    def leaves(self) -> bool:
        """Whether the attack drives predictions away from `y`, and counts any other answer."""
        return not self.aims

    def goals(self, task: Task, y: Tensor) -> Tensor | None:
        """Return the answers that the attack is to reach, given `y` as for a call; None unless it `aims`."""
        return y if self.targeted else None

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        rng: Draws | torch.Generator | int | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """Return adversarial images, float32 (N, C, H, W) in [0, 1], within the threat around the images `x`.

        `y` are targets of the model's task; None means the model's own predictions. `rng` (`Draws`, generator or seed;
        None is seed 0) gives every image its own random stream. `start` are images within the threat to continue from,
        for attacks that can. Raises InputError for images or labels that the model does not take, ConfigError for a
        task that the attack does not apply to or for `targeted` without `y`, and BudgetError if `start` or the result
        leaves the budget or is NaN.
        """
        own, y, draws = self._prepared(model, x, y, rng)
        with torch.inference_mode(False), torch.enable_grad():  # also for callers who have switched gradients off
            if start is None:
                x_adv = self.perturb(model, own, y, rng=draws)
            else:
                x_adv = self.go_on(model, own, y, self.threat.enforce(start.detach(), own), rng=draws)
        return self._enforced(x_adv, x)

    def _prepared(
        self, model: Model, x: Tensor, y: Tensor | None, rng: Draws | torch.Generator | int | None
    ) -> tuple[Tensor, Tensor, Draws]:
        """Return checked images, targets and random streams; the first two are copies that the attack may change."""
        Model.check_is(model)
        self.check_task(model.task)
        model.check(x)
        draws = as_draws(rng, len(x), x.device)
        if y is None:
            if self.targeted:
                raise ConfigError(f"A targeted {type(self).__name__} needs y, the classes to reach.")
            y = model.judge(x, rng=draws.fork("reference"))
        model.task.check_targets(y, len(x))
        with torch.inference_mode(False):
            return x.detach().clone(memory_format=torch.contiguous_format), y.clone(), draws

    def _enforced(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return `x_adv` clipped to [0, 1] and to the budget. Raises BudgetError for more than a rounding excess."""
        if not isinstance(x_adv, Tensor):
            raise BudgetError(f"Expected adversarial images from {self!r}, got {type(x_adv).__name__}.")
        return self.threat.enforce(x_adv.detach().clamp(0, 1), x.detach())

    @abstractmethod
    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        """Return adversarial images for checked inputs, within the budget; the caller clips them to [0, 1]."""

    def go_on(self, model: Model, x: Tensor, y: Tensor, start: Tensor, *, rng: Draws) -> Tensor:
        """Run `perturb` from `start`, the strongest points so far, which are ignored unless this is overridden."""
        return self.perturb(model, x, y, rng=rng)

    def reached(self, model: Model, outputs: Tensor, y: Tensor) -> Tensor:
        """Return a bool mask (N,) of the images that, by these outputs, have left `y`, or reached it if targeted.

        Raises InputError for outputs that do not fit the task: NaN has no class, and would pass for another one.
        """
        model.task.check_outputs(outputs, len(y))
        return model.task.reached(model.task.predict(outputs), y, targeted=self.targeted)

    @property
    def stops_at_boundary(self) -> bool:
        """Whether the adversarial images lie just beyond the decision boundary of the model they were crafted on.

        They then rarely fool another system, and say little about it.
        """
        return False


@dataclass(frozen=True, kw_only=True)
class MinimalAttack(Attack):
    """An image attack that searches for the smallest perturbation. Subclasses implement `minimize`.

    `eps` only says what counts: a larger perturbation is projected onto the budget, and its image most likely keeps its
    class. It is infinite by default, so that a call returns the smallest adversarial images themselves.
    """

    eps: Eps = math.inf

    needs_budget: ClassVar[bool] = False
    needs_class_scores: ClassVar[bool] = True

    @property
    def stops_at_boundary(self) -> bool:
        return True

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return self.threat.project(self.minimize(model, x, y, rng=rng), x)

    @abstractmethod
    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        """Return adversarial images in [0, 1] as near to `x` as possible; `x` itself where none is found."""
