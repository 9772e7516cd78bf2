"""k-WTA: k winners take all (Xiao, Zhong and Zheng 2020, https://arxiv.org/abs/1905.10510)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, get_args

from torch import Tensor, nn

from ..core.defense import NetworkDefense
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.rewiring import rewired
from ..core.seeding import Draws
from ..core.shell import Inside
from ..core.winners import Scope, WinnersTakeAll, winners
from ._modules import modules_of

_ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, WinnersTakeAll),
)
"""The activations that stand between the layers of a network, one for each value: no gates, no softmax."""


@register_defense("k-wta")
@dataclass(frozen=True, kw_only=True)
class KWTA(NetworkDefense):
    """Replace activations by k winners take all: keep the k largest values, even if negative, and zero the rest.

    k is the share `gamma` of the values of the whole "layer", or of each "channel", rounded down, at least 1; all
    values equal to the k-th are kept. Replaced are the modules of torch's activations from ReLU to Mish (and k-WTA
    modules), not what the network's code calls as functions. A network trained with other activations loses much of its
    clean accuracy. The paper trains networks with k-WTA; around such a network, as `digits:convnet-k-wta`, with the
    same gamma, the defense only adds the surrogates for adaptive attacks.

    The function is discontinuous where the winners change, so its own gradient, the surrogate "mask", misleads attacks.
    "smooth" is the gradient of a continuous function that rises where this one jumps.

    Broken by gradients estimated or smoothed over its jumps (Tramèr et al. 2020, https://arxiv.org/abs/2002.08347).
    """

    gamma: float = 0.2
    scope: Scope = "layer"

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise ConfigError(f"Expected gamma in (0, 1], got {self.gamma}.")
        if self.scope not in get_args(Scope):
            raise ConfigError(f"Expected scope to be one of {', '.join(get_args(Scope))}, got {self.scope!r}.")

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws, smooth: bool = False) -> Tensor:
        def compete(forward: Callable[[Tensor], Tensor], activations: Tensor) -> Tensor:
            return winners(activations, self.gamma, self.scope, smooth=smooth)

        activations = modules_of(inside.net, _ACTIVATIONS, "activations")
        with rewired(inside.net, activations, compete):
            return inside(x)

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"smooth": partial(self.answer, smooth=True), "mask": self.answer}

    @property
    def valued(self) -> Collection[str]:
        return "smooth", "mask"
