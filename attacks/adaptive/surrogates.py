"""Attacks along every gradient that a defense offers."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...core.attack import Access, Attack
from ...core.ensemble import attack_survivors
from ...core.model import Model
from ...core.norms import Norm
from ...core.seeding import Draws
from ..momentum import Momentum


@dataclass(frozen=True, kw_only=True)
class Surrogates(Attack):
    """Momentum ascent along each gradient among the system's `alternatives`, on the images that still resist.

    All of them together take about `steps` steps. A system that offers no choice has been attacked along its only
    gradient already, and the points stay unchanged.
    """

    steps: int = 40

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = Momentum.norms

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascent(1)

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return self.go_on(model, x, y, x, rng=rng)

    def go_on(self, model: Model, x: Tensor, y: Tensor, start: Tensor, *, rng: Draws) -> Tensor:
        offered = model.alternatives
        if len(offered) > 1:
            for name, system in offered.items():
                start = attack_survivors(self._ascent(len(offered)), system, x, y, start, rng=rng.fork(name))
        return start

    def _ascent(self, choices: int) -> Momentum:
        facts = {"eps": self.eps, "norm": self.norm, "targeted": self.targeted}
        return Momentum(**facts, steps=-(-self.steps // choices), draws=1)
