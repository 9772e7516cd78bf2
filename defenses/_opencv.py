"""OpenCV filters on the CPU, which are fast but not differentiable: gradients come from the same filter in torch."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..core.straight_through import with_gradient_of


def suits(x: Tensor) -> bool:
    """Return whether OpenCV can filter the images without a copy: float32 on the CPU."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def wants_gradient(x: Tensor) -> bool:
    return x.requires_grad and torch.is_grad_enabled()


def with_gradient(exact: Tensor, in_torch: Callable[[], Tensor], x: Tensor) -> Tensor:
    """Return OpenCV's result `exact` for `x`, with the gradient of `in_torch()` if `x` wants one.

    The value is the same to the last bit in both cases.
    """
    if not wants_gradient(x):
        return exact
    return with_gradient_of(in_torch(), exact)


def filter_planes(x: Tensor, size: Sequence[int], function: Callable[[np.ndarray, np.ndarray], object]) -> Tensor:
    """Call `function(plane, out)` for every channel of images (N, C, H, W); `out` has `size` (height, width)."""
    result = x.new_empty(*x.shape[:2], *size)
    for image, filtered in zip(x.detach().numpy(), result.numpy(), strict=True):
        for plane, out in zip(image, filtered, strict=True):
            function(plane, out)
    return result


def linear(x: Tensor, function: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `function(x)`; autograd differentiates it as a linear function with the given adjoint."""
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
