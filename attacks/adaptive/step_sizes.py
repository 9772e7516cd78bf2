"""Step sizes that adapt to the loss, for systems whose loss does not vary by chance."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...core.attack import Access, Attack
from ...core.model import Model
from ...core.norms import Norm
from ...core.seeding import Draws
from ..apgd import APGD


@dataclass(frozen=True, kw_only=True)
class StepSizes(Attack):
    """APGD with all of its `steps` for every image.

    It compares losses from step to step. On a randomized system these differ by chance, and the luckiest draw would
    count as the best point: there the points stay unchanged.
    """

    steps: int = 40

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = APGD.norms
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascent()  # checks its parameters

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return self.go_on(model, x, y, x, rng=rng)

    def go_on(self, model: Model, x: Tensor, y: Tensor, start: Tensor, *, rng: Draws) -> Tensor:
        return start if model.randomized else self._ascent().perturb(model, x, y, rng=rng)

    def _ascent(self) -> APGD:
        facts = {"eps": self.eps, "norm": self.norm, "targeted": self.targeted}
        return APGD(**facts, steps=self.steps, early_stop=False)
