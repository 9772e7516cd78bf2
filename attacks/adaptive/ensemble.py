"""An ensemble of attacks on any defended network (after Tramèr et al. 2020, https://arxiv.org/abs/2002.08347)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...core.attack import Access, Attack
from ...core.ensemble import Ensemble
from ...core.norms import Norm
from ...core.registry import register_attack
from ..momentum import Momentum
from ..rays import RayS
from ..square import Square
from .more_draws import MoreDraws
from .step_sizes import StepSizes
from .surrogates import Surrogates
from .transfer import Transfer


@register_attack("adaptive-ensemble")
@dataclass(frozen=True, kw_only=True)
class AdaptiveEnsemble(Ensemble):
    """Adaptive attacks on a defended system, each on the images that still resist; per image the strongest counts.

    - transfer: what fools the bare network, as a start for those that follow.
    - momentum: ascent of the log-odds along the system's gradient, one draw a step; the longest single search.
    - margins: the same from the strongest point so far towards each of the three runner-up classes; not if targeted.
    - step-sizes: APGD, which adapts its step sizes; not on a randomized system, where it would follow chance.
    - surrogates: momentum ascent in small steps from the strongest point so far along each gradient that the defense
      offers. Behind steps and plateaus, as of JPEG or k-WTA, this fools more than as many steps from new starts.
    - more-draws, all-draws: on a randomized system, ever more draws per gradient, up to half of and up to all that the
      model takes for an expectation (a recipe's `eot_draws`). Where the last step still gains, the row has a flag.
    - square, rays: class scores and decisions alone, from `queries` points each. They are witnesses: what they add, the
      gradients have missed.

    From ten `steps` on, all gradients together are at most five times those of PGD with as many. Around networks that
    hide their gradients more steps find more: raise `steps` until the number stays. In a table a member's row counts
    what it and those before it fool; the row "adaptive-ensemble" is the worst case.
    """

    steps: int = 40
    queries: int = 100

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    @property
    def members(self) -> Mapping[str, Attack]:
        steps, some, few = self.steps, -(-3 * self.steps // 8), max(1, self.steps // 4)
        facts = {"eps": self.eps, "norm": self.norm, "targeted": self.targeted}
        margins = (
            {}
            if self.targeted
            else {"margins": Momentum(**facts, steps=few, begin="strongest", target_classes=3, draws=1)}
        )
        return {
            "transfer": Transfer(**facts, steps=few),
            "momentum": Momentum(**facts, steps=max(1, 5 * steps // 4), draws=1),
            **margins,
            "step-sizes": StepSizes(**facts, steps=max(1, 9 * steps // 8)),
            "surrogates": Surrogates(**facts, steps=max(1, 3 * steps // 2)),
            "more-draws": MoreDraws(**facts, steps=some, most=0.5),
            "all-draws": MoreDraws(**facts, steps=some, least=1.0),
            "square": Square(**facts, queries=self.queries),
            "rays": RayS(**facts, queries=self.queries),
        }
