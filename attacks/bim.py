"""Basic iterative method, BIM (Kurakin et al. 2017, https://arxiv.org/abs/1607.02533)."""

from dataclasses import dataclass

from ..core.registry import register_attack
from .pgd import PGD


@register_attack("bim")
@dataclass(frozen=True, kw_only=True)
class BIM(PGD):
    """PGD from the image itself; `step_size` None means eps / steps, just enough to reach the bound.

    The paper takes steps of 1/255, and min(eps + 4, 1.25 eps) of them, for an eps in units of 1/255.
    """

    steps: int = 10
    random_start: bool = False

    @property
    def length(self) -> float:
        return self.step_size or self.eps / max(self.steps, 1)
