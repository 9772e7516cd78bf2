"""Attacks along every gradient that a defense offers, in small steps."""

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
    """Momentum ascent along each of the system's `alternatives` in turn, on the images that still resist.

    Each begins at the strongest point so far, with steps of eps / 4 at first: long ones would leave it again. All
    together take about `steps` steps. A system that offers no choice is attacked along its only gradient.
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
        offered = model.alternatives or {"own": model}
        for name, system in offered.items():
            start = attack_survivors(self._ascent(len(offered)), system, x, y, start, rng=rng.fork(name))
        return start

    def _ascent(self, choices: int) -> Momentum:
        facts = {"eps": self.eps, "norm": self.norm, "targeted": self.targeted}
        steps = max(1, self.steps // choices)
        return Momentum(**facts, steps=steps, step_size=self.eps / 4, begin="strongest", draws=1)
