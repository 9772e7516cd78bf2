"""OpenCV's filters on the CPU: fast, but without a gradient, which the same transform written in torch supplies."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..core.straight_through import with_gradient_of


def suits(x: Tensor) -> bool:
    """Whether OpenCV can take the images where they lie."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def wants_gradient(x: Tensor) -> bool:
    return x.requires_grad and torch.is_grad_enabled()


def with_gradient(exact: Tensor, in_torch: Callable[[], Tensor], x: Tensor) -> Tensor:
    """OpenCV's result for `x`, the same to the last bit whether or not the gradient of `in_torch` comes with it."""
    if not wants_gradient(x):
        return exact
    return with_gradient_of(in_torch(), exact)


def filter_planes(x: Tensor, size: Sequence[int], function: Callable[[np.ndarray, np.ndarray], object]) -> Tensor:
    """`function(plane, out)` for every channel of the images (N, C, H, W), into one of `size` (height, width)."""
    result = x.new_empty(*x.shape[:2], *size)
    for image, filtered in zip(x.detach().numpy(), result.numpy(), strict=True):
        for plane, out in zip(image, filtered, strict=True):
            function(plane, out)
    return result


def linear(x: Tensor, function: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]) -> Tensor:
    """`function(x)`, of which autograd knows nothing but that it is linear and has this adjoint."""
    return cast(Tensor, _Linear.apply(x, function, adjoint))


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.function, ctx.adjoint = function, adjoint
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return linear(gradients[0], ctx.adjoint, ctx.function), None, None
