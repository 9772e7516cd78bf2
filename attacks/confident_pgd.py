"""PGD to confident predictions, as on REGroup (Shukla et al. 2020, https://arxiv.org/abs/2006.10679)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm
from ..core.registry import register_attack
from ..core.seeding import Draws
from .pgd import PGD


@register_attack("confident-pgd")
@dataclass(frozen=True, kw_only=True)
class ConfidentPGD(Attack):
    """PGD from a random start towards a wrong class that the model then predicts with a given confidence.

    It takes `steps` steps of `pgd`. An image is returned unchanged if the model does not give a wrong class (if
    `targeted`, the target) a probability of at least `confidence`: the fooling rate of the attacked network is then the
    share of images where it does. REGroup's slides call 0.9 high confidence.
    """

    steps: int = 40
    step_size: float | None = None
    confidence: float = 0.9

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = PGD.norms
    randomized: ClassVar[bool] = True
    needs_class_scores: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.confidence < 1:
            raise ConfigError(f"Expected confidence in (0, 1), got {self.confidence}: without any it is pgd.")
        self._ascent()  # checks the parameters of PGD

    @property
    def leaves(self) -> bool:
        return False  # what it has fooled without being sure counts as not fooled

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        found = self._ascent().perturb(model, x, y, rng=rng)
        with torch.no_grad():
            outputs = model.averaged(found, rng=rng.fork("judge"))
        sure = outputs.softmax(dim=1).amax(dim=1) >= self.confidence
        return torch.where((self.reached(model, outputs, y) & sure)[:, None, None, None], found, x)

    def _ascent(self) -> PGD:
        facts = {"eps": self.eps, "norm": self.norm, "steps": self.steps, "step_size": self.step_size}
        return PGD(**facts, targeted=self.targeted)
