"""k-WTA: k winners take all (Xiao, Zhong and Zheng 2020, https://arxiv.org/abs/1905.10510)."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ..core.defense import NetworkDefense
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.rewiring import rewired
from ..core.seeding import Draws
from ..core.shell import Inside
from ._modules import modules_of

Scope = Literal["layer", "channel"]

_WIDTH = 0.5  # of the smooth threshold, in standard deviations of the activations


@register_defense("k-wta")
@dataclass(frozen=True, kw_only=True)
class KWTA(NetworkDefense):
    """Keep the k largest activations where the network has ReLU, negative ones among them too, and set others to 0.

    k is the share `gamma` of the activations of the whole "layer", or of each "channel", rounded down, 1 at least; all
    that are equal to the k-th are kept. Replaced are the modules `nn.ReLU`; a ReLU that the network's code calls as a
    function stays. The paper trains networks with it, from the start or with a gamma that falls slowly: one that was
    trained with ReLU loses much of its clean accuracy.

    The function jumps wherever the winners change, so its own slope ("mask") leads attacks astray. "smooth" lets the
    gradient through by a sigmoid in place of the threshold.

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

        with rewired(inside.net, modules_of(inside.net, nn.ReLU, "ReLU activations"), compete):
            return inside(x)

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"smooth": partial(self.answer, smooth=True), "mask": self.answer}

    @property
    def valued(self) -> Collection[str]:
        return "smooth", "mask"


def winners(x: Tensor, gamma: float, scope: Scope, *, smooth: bool = False) -> Tensor:
    """The largest of activations (N, C, ...), the others 0. The slope is 1 or 0, or between them where `smooth`."""
    return cast(Tensor, _Winners.apply(x, gamma, scope, smooth))


class _Winners(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: float, scope: Scope, smooth: bool) -> Tensor:
        rows = x.flatten(2) if scope == "channel" and x.ndim > 2 else _in_memory_order(x).flatten(1)
        threshold = _kth_largest(rows, max(1, math.floor(gamma * rows.shape[-1] + 1e-9)))
        threshold = threshold.reshape(*threshold.shape, *[1] * (x.ndim - threshold.ndim))
        kept = torch.ge(x, threshold, out=torch.empty_like(x))  # as 0.0 and 1.0: a product with booleans is slow
        if not ctx.needs_input_grad[0]:
            return kept.mul_(x)
        if smooth:
            deviation = rows.std(dim=-1).reshape(threshold.shape).clamp_min(torch.finfo(x.dtype).tiny)
            ctx.save_for_backward(((x - threshold) / (_WIDTH * deviation)).sigmoid_())
        else:
            ctx.save_for_backward(kept)
        return x * kept

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None, None, None


def _in_memory_order(x: Tensor) -> Tensor:
    """Of a whole layer the order does not matter: no need to copy what lies channels last."""
    channels_last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x.permute(0, 2, 3, 1) if channels_last else x


def _kth_largest(rows: Tensor, k: int) -> Tensor:
    """Of the last dimension. On a CPU NumPy takes a tenth of torch's time."""
    place = rows.shape[-1] - k
    if rows.device.type != "cpu" or rows.dtype == torch.bfloat16:
        return rows.kthvalue(place + 1, dim=-1).values
    return torch.from_numpy(np.partition(rows.detach().numpy(), place, axis=-1)[..., place].copy())
