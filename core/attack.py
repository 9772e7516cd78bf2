"""The kinds of attack: one perturbation per image, within a budget or as small as can be, or one for all images."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol, get_args

import torch
from torch import Tensor

from .errors import BudgetError, ConfigError
from .images import check_images
from .model import Model
from .norms import Norm
from .perturbation import Perturbation
from .seeding import Draws, as_draws
from .task import Task
from .threat import Eps, Threat

Access = Literal["none", "decision", "score", "features", "gradient"]
"""What an attack needs of a model, from nothing to everything."""
Prior = Literal["none", "range", "data", "less-background"]
"""What a universal attack knows of the images: nothing, their range, some of them, some with little background."""
LATER = "later"
"""In the metadata of a field that came after results had been published: where it has its default, rows and random
streams are called what they were without it.
"""


@dataclass(frozen=True, kw_only=True)
class _Budgeted:
    """What every attack states: its threat, and what it needs of a model. The repr of an attack is its identity."""

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
        object.__setattr__(self, "eps", self.threat.eps)  # Threat parses "8/255" and refuses what is no budget
        if self.needs_budget and math.isinf(self.eps):
            raise ConfigError(f"{type(self).__name__} works within a budget: expected a finite eps, got {self.eps}.")
        if self.norm not in self.norms:
            raise ConfigError(f"{type(self).__name__} works in {' and '.join(self.norms)}, got norm={self.norm!r}.")
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value) and name not in self.may_be_infinite:
                raise ConfigError(f"{type(self).__name__}: expected a finite {name}, got {value}.")

    @property
    def threat(self) -> Threat:
        return Threat(norm=self.norm, eps=self.eps)

    def check_task(self, task: Task) -> None:
        """Raise ConfigError for a task that the attack makes no sense for."""
        if self.needs_class_scores and task.class_scores is None:
            raise ConfigError(
                f"{type(self).__name__} takes an image from one class to another: expected a model of image "
                f"recognition, for its class logits, got one for {task}."
            )


@dataclass(frozen=True, kw_only=True)
class Attack(_Budgeted, ABC):
    """An image attack. Subclasses are frozen dataclasses that implement `perturb`.

    `targeted`: `y` are the targets to reach instead of those to leave. `batch_matters` where draws belong to a batch,
    so that what comes of an image depends on which ones it is attacked with.
    """

    targeted: bool = False

    batch_matters: ClassVar[bool] = False

    @property
    def leaves(self) -> bool:
        """Whether it takes answers as far away as it can, instead of somewhere else that is wanted."""
        return not self.targeted

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        rng: Draws | torch.Generator | int | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """Adversarial images, float32 (N, C, H, W), inside the threat around `x`.

        `y` are targets of the model's task; None means the model's own predictions. `rng` gives every image its own
        random stream. `start` are points inside the threat to go on from, for attacks that can. Raises InputError for
        images or labels that the model does not take, and BudgetError where `start` or the result left the budget or
        is NaN.
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
        """Checked images, targets and streams, the first two as tensors of the attack's own."""
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
        """What was made of `x`, within the budget and [0, 1]."""
        if not isinstance(x_adv, Tensor):
            raise BudgetError(f"Expected adversarial images from {self!r}, got {type(x_adv).__name__}.")
        return self.threat.enforce(x_adv.detach().clamp(0, 1), x.detach())

    @abstractmethod
    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        """The attack itself, on checked inputs. The result stays within the budget; it is clipped to [0, 1] for you."""

    def go_on(self, model: Model, x: Tensor, y: Tensor, start: Tensor, *, rng: Draws) -> Tensor:
        """`perturb` for images whose strongest points so far are `start`: override it to begin there."""
        return self.perturb(model, x, y, rng=rng)

    def reached(self, model: Model, outputs: Tensor, y: Tensor) -> Tensor:
        """Which images (N,) have left the targets `y`, or reached them where targeted, by these outputs.

        Raises InputError for outputs that are no answer: NaN has no class, and would pass for another one.
        """
        model.task.check_outputs(outputs, len(y))
        return model.task.reached(model.task.predict(outputs), y, targeted=self.targeted)

    @property
    def stops_at_boundary(self) -> bool:
        """Whether its points lie just beyond the boundary of the model they were crafted on.

        They hardly fool another system then, and what they say of it says little about that system.
        """
        return False


@dataclass(frozen=True, kw_only=True)
class MinimalAttack(Attack):
    """An image attack that looks for the smallest change. Subclasses implement `minimize`.

    `eps` only says what counts: where the smallest change found is larger, the image gets as much of it as fits, and
    most likely keeps its class. Infinite by default, so that the call gives the smallest adversarial images themselves.
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
        """The attack itself: images in [0, 1], as near to `x` as it can be; `x` where nothing is found."""


class Checkpoint(Protocol):
    """Where a search keeps what it needs to go on from its last validation."""

    def load(self) -> dict[str, Tensor]:
        """What was saved last; nothing where the search is new."""
        ...

    def save(self, state: dict[str, Tensor]) -> None: ...


class NoCheckpoint:
    """For searches that begin at the beginning."""

    def load(self) -> dict[str, Tensor]:
        return {}

    def save(self, state: dict[str, Tensor]) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class CraftingData:
    """What a universal attack may look at.

    `validation` are substitute images (M, C, H, W) in [0, 1] on which candidates are compared. `load_training` returns
    the task's own training images, as the attack's prior wants them; it is called where that is "data" or
    "less-background". `progress` is told (iterations done, limit, best validation fooling rate, -1 before the first). A
    search tells `checkpoint` its state after every validation, and goes on from there.
    """

    validation: Tensor
    load_training: Callable[[], Tensor]
    progress: Callable[[int, int, float], None] = lambda done, limit, best: None
    checkpoint: Checkpoint = field(default_factory=NoCheckpoint)


@dataclass(frozen=True, kw_only=True)
class UniversalAttack(_Budgeted, ABC):
    """Crafts one perturbation for all images. Subclasses are frozen dataclasses that implement `search`."""

    prior: Prior = "none"

    priors: ClassVar[Sequence[Prior]] = ("none", "range", "data")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior not in self.priors:
            raise ConfigError(f"Expected prior to be one of {', '.join(self.priors)}, got {self.prior!r}.")

    @property
    def validations(self) -> int:
        """How many validations a whole search makes, at least, where it says 0 iterations before those of the clean
        images, which cost as much, and then says each iteration; 0 where what it says are all that it does.
        """
        return 0

    @property
    def sees_training_images(self) -> bool:
        """Whether its prior is made of some."""
        return self.prior in ("data", "less-background")

    def check_task(self, task: Task) -> None:
        super().check_task(task)
        if self.prior == "less-background" and task.background is None:
            raise ConfigError(
                f"{type(self).__name__} with prior {self.prior} chooses images by how much of them is background: "
                f"expected maps with a class for it, got {task}."
            )

    def craft(
        self, model: Model, data: CraftingData, *, rng: Draws | torch.Generator | int | None = None
    ) -> Perturbation:
        """Search for a perturbation of one image's shape. Raises InputError for images the model refuses."""
        Model.check_is(model)
        self.check_task(model.task)
        check_images(data.validation, model.shape)
        draws = as_draws(rng, 1, data.validation.device)
        with torch.inference_mode(False), torch.enable_grad():  # also for callers who have switched gradients off
            own = replace(
                data, validation=data.validation.clone(), load_training=lambda: _own_images(data.load_training())
            )
            delta = self.search(model, own, rng=draws)
        if not isinstance(delta, Tensor):
            raise BudgetError(f"Expected a perturbation from {self!r}, got {type(delta).__name__}.")
        if delta.shape != data.validation.shape[1:]:
            raise BudgetError(
                f"Expected a perturbation of shape {tuple(data.validation.shape[1:])}, got {tuple(delta.shape)}."
            )
        return Perturbation(
            delta=delta.detach().cpu(), threat=self.threat, source=f"{self!r} on {model.name} {model.sha}"
        )

    @abstractmethod
    def search(self, model: Model, data: CraftingData, *, rng: Draws) -> Tensor:
        """The attack itself: delta of shape (C, H, W). `rng` has a single stream."""


def _own_images(x: Tensor) -> Tensor:
    check_images(x)
    return x.clone()
