"""AutoAttack's standard ensemble (Croce & Hein 2020, https://arxiv.org/abs/2003.01690)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..core.attack import Access, Attack
from ..core.ensemble import Ensemble
from ..core.errors import ConfigError
from ..core.norms import Norm
from ..core.registry import register_attack
from .apgd import APGD
from .fab import FAB
from .square import Square


@register_attack("autoattack")
@dataclass(frozen=True, kw_only=True)
class AutoAttack(Ensemble):
    """Four attacks without parameters to tune, each on the images that still resist.

    They are APGD on the cross-entropy, APGD towards each of the nine runner-up classes on the difference of logits
    ratio, FAB towards each of these, and Square. The first three take `steps` steps, Square `queries` queries; the
    defaults are the paper's. In a table a member's row counts what it and those before it fool on the system they were
    crafted on; the row "autoattack" is the worst case.
    """

    steps: int = 100
    queries: int = 5000

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targeted:
            raise ConfigError("AutoAttack's standard ensemble is untargeted: expected targeted=False, got True.")

    @property
    def members(self) -> Mapping[str, Attack]:
        eps, norm, steps = self.eps, self.norm, self.steps
        return {
            "apgd-ce": APGD(eps=eps, norm=norm, steps=steps),
            "apgd-dlr-targeted": APGD(eps=eps, norm=norm, steps=steps, loss="dlr", target_classes=9),
            "fab-targeted": FAB(eps=eps, norm=norm, steps=steps, target_classes=9),
            "square": Square(eps=eps, norm=norm, queries=self.queries, rescaled=False),
        }
