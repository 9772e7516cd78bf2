"""PGD to confident predictions, as on REGroup (Shukla et al. 2020, https://arxiv.org/abs/2006.10679)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._losses import class_count
from .pgd import PGD

Goal = Literal["random", "any"]


@register_attack("confident-pgd")
@dataclass(frozen=True, kw_only=True)
class ConfidentPGD(Attack):
    """PGD from a random start towards a wrong class that the model then predicts with a given confidence.

    It takes `steps` steps of `pgd`. `goal` is the wrong class: one drawn at "random" for each image, which tables call
    a targeted attack, or "any". An image is returned unchanged if the model does not give the wrong class a probability
    of at least `confidence`: the fooling rate of the attacked network is then the share of images where it does. With 0
    all images are as PGD leaves them. REGroup's slides call 0.9 high confidence.
    """

    steps: int = 40
    step_size: float | None = None
    goal: Goal = "random"
    confidence: float = 0.0

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = PGD.norms
    randomized: ClassVar[bool] = True
    needs_class_scores: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targeted:
            raise ConfigError("It chooses its targets itself: expected targeted=False, got True.")
        if self.goal not in get_args(Goal):
            raise ConfigError(f"Expected goal to be one of {', '.join(get_args(Goal))}, got {self.goal!r}.")
        if not 0 <= self.confidence < 1:
            raise ConfigError(f"Expected confidence in [0, 1), got {self.confidence}.")
        self._ascent()  # checks the parameters of PGD

    @property
    def leaves(self) -> bool:
        return self.goal == "any" and self.confidence == 0

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        goal = y if self.goal == "any" else _drawn(model, y, rng.fork("goal"))
        found = self._ascent().perturb(model, x, goal, rng=rng)
        if self.confidence == 0:
            return found
        with torch.no_grad():
            outputs = model.averaged(found, rng=rng.fork("judge"))
        reached = model.task.reached(model.task.predict(outputs), goal, targeted=self.goal != "any")
        sure = outputs.softmax(dim=1).amax(dim=1) >= self.confidence
        return torch.where((reached & sure)[:, None, None, None], found, x)

    def _ascent(self) -> PGD:
        facts = {"eps": self.eps, "norm": self.norm, "steps": self.steps, "step_size": self.step_size}
        return PGD(**facts, targeted=self.goal != "any")


def _drawn(model: Model, y: Tensor, rng: Draws) -> Tensor:
    """Return a random class for each image (N,), other than `y` and never rejection."""
    rejected = model.task.rejected
    if rejected is None:
        classes = class_count(model)
        return (y + 1 + rng.integers(classes - 1)) % classes
    classes = class_count(model) - 1
    another = (y + 1 + rng.integers(classes - 1)) % classes
    return torch.where(y == rejected, rng.fork("from rejection").integers(classes), another)
