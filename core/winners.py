"""k winners take all: an activation that keeps the largest values of a layer (https://arxiv.org/abs/1905.10510)."""

import math
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scope = Literal["layer", "channel"]


class WinnersTakeAll(nn.Module):
    """The k-winners-take-all activation of networks that were trained with it; its gradient is the exact one."""

    def __init__(self, gamma: float, scope: Scope = "layer") -> None:
        super().__init__()
        self.gamma: float = gamma
        self.scope: Scope = scope

    def forward(self, x: Tensor) -> Tensor:
        return winners(x, self.gamma, self.scope)

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}, scope={self.scope!r}"


def winners(x: Tensor, gamma: float, scope: Scope, *, smooth: bool = False) -> Tensor:
    """Keep the largest of the activations (N, C, ...), and set the others to 0.

    They are the share `gamma` of the whole "layer", or of each "channel", rounded down, at least 1; all values equal to
    the last of them stay too. The gradient is 1 or 0, or that of a similar smooth function if `smooth`.
    """
    return cast(Tensor, _Winners.apply(x, gamma, scope, smooth))


class _Winners(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: float, scope: Scope, smooth: bool) -> Tensor:
        rows = x.flatten(2) if scope == "channel" and x.ndim > 2 else _in_memory_order(x).flatten(1)
        threshold = _kth_largest(rows, max(1, math.floor(gamma * rows.shape[-1] + 1e-9)))
        threshold = threshold.reshape(*threshold.shape, *[1] * (x.ndim - threshold.ndim))
        kept = torch.ge(x, threshold, out=torch.empty_like(x))  # as 0.0 and 1.0: a product with booleans is slow
        if ctx.needs_input_grad[0] and not smooth:
            ctx.save_for_backward(kept)
            return x * kept
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(_smooth_slope(x, threshold, tuple(range(rows.ndim - 1, x.ndim))))
        return kept.mul_(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None, None, None


def _smooth_slope(x: Tensor, threshold: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the derivative of x times a ramp from 0 to 1 around the threshold, as wide as 0.4 RMS distances.

    Its second part is the jump, which no mask shows: a new winner gains the threshold's height. Without it gradients
    lead hardly further than the mask's. A ramp, as a sigmoid would take as long as the whole selection.
    """
    distances = x - threshold
    spread = distances.square().mean(dims, keepdim=True).sqrt_().clamp_min_(torch.finfo(x.dtype).tiny ** 0.5)
    steepness = 15 / spread
    ramp = F.hardsigmoid(distances.mul_(steepness), inplace=True)  # which rises from -3 to 3
    jump = torch.addcmul(ramp, ramp, ramp, value=-1).mul_(x)  # as of a smooth step: a parabola within the ramp
    return ramp.addcmul_(jump, steepness)


def _in_memory_order(x: Tensor) -> Tensor:
    """Return a layer in its memory order, which does not matter here: channels-last needs no copy."""
    channels_last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x.permute(0, 2, 3, 1) if channels_last else x


def _kth_largest(rows: Tensor, k: int) -> Tensor:
    """Return the k-th largest along the last dimension; on a CPU with NumPy, in a tenth of torch's time."""
    place = rows.shape[-1] - k
    if rows.device.type != "cpu":
        return rows.kthvalue(place + 1, dim=-1).values
    known = torch.promote_types(rows.dtype, torch.float32)  # NumPy has no bfloat16
    own = rows.detach().to(known, copy=True, memory_format=torch.contiguous_format).numpy()
    own.partition(place, axis=-1)
    return torch.from_numpy(own[..., place].copy()).to(rows.dtype)
