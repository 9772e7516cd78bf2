"""Basic iterative method (BIM; Kurakin et al. 2017, https://arxiv.org/abs/1607.02533)."""

from dataclasses import dataclass, replace

from torch import Tensor

from ..core.model import Model
from ..core.registry import register_attack
from ..core.seeding import Draws
from .pgd import PGD


@register_attack("bim")
@dataclass(frozen=True, kw_only=True)
class BIM(PGD):
    """PGD from the image itself; `step_size` None means eps / steps, just enough to reach the bound.

    The paper steps by 1/255, and min(eps + 4, 1.25 eps) times for an eps in units of 1/255.
    """

    steps: int = 10
    random_start: bool = False

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        step_size = self.step_size or self.eps / max(self.steps, 1)
        return PGD.perturb(replace(self, step_size=step_size), model, x, y, rng=rng)
