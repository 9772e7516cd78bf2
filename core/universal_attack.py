"""The base class of universal attacks, and the images that they may use."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from .attack import Budgeted
from .errors import BudgetError, ConfigError
from .images import check_images
from .model import Model
from .perturbation import Perturbation
from .seeding import Draws, as_draws
from .task import Task

Prior = Literal["none", "range", "data", "less-background"]
"""What a universal attack may know of images: nothing, their range, training images, or some of little background."""


class Checkpoint(Protocol):
    """Storage for the state of a search, from which it can resume."""

    def load(self) -> dict[str, Tensor]:
        """Return the state saved last; empty for a new search."""
        ...

    def save(self, state: dict[str, Tensor]) -> None: ...


class NoCheckpoint:
    """A checkpoint that stores nothing: the search starts from the beginning."""

    def load(self) -> dict[str, Tensor]:
        return {}

    def save(self, state: dict[str, Tensor]) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class CraftingData:
    """The images that a universal attack may use, and where it reports its progress.

    `validation` are substitute images (M, C, H, W) in [0, 1] on which candidates are compared. `load_training` returns
    the task's training images, as the attack's prior requires them; it is called if that is "data" or
    "less-background". `progress` is called with (iterations done, limit, best validation fooling rate, -1 before the
    first). A search saves its state to `checkpoint` after every validation or batch, and resumes from it.
    """

    validation: Tensor
    load_training: Callable[[], Tensor]
    progress: Callable[[int, int, float], None] = lambda done, limit, best: None
    checkpoint: Checkpoint = field(default_factory=NoCheckpoint)


@dataclass(frozen=True, kw_only=True)
class UniversalAttack(Budgeted, ABC):
    """A universal attack, one perturbation for all images. Subclasses are frozen dataclasses with a `search`."""

    prior: Prior = "none"

    priors: ClassVar[Sequence[Prior]] = ("none", "range", "data")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior not in self.priors:
            raise ConfigError(f"Expected prior to be one of {', '.join(self.priors)}, got {self.prior!r}.")

    @property
    def validations(self) -> int:
        """The least number of validations in a full search, by which forecasts go; 0 if iterations are all its work.

        Such a search reports 0 iterations, validates the clean images at the same cost, then reports each iteration.
        """
        return 0

    @property
    def sees_training_images(self) -> bool:
        """Whether the attack's prior uses training images."""
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
        """Search for a universal perturbation of the shape of one image, and return it.

        Raises InputError for images that the model does not take, ConfigError for a task that the attack does not apply
        to, BudgetError for a result of another shape or beyond the budget.
        """
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
        """Return the perturbation, shape (C, H, W), for checked inputs; `rng` has a single stream."""


def _own_images(x: Tensor) -> Tensor:
    check_images(x)
    return x.clone()
