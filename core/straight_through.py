"""Straight-through gradients: the value of one tensor with the gradient of another."""

from torch import Tensor

_ROUNDING = 1e-5


def with_gradient_of(traced: Tensor, value: Tensor) -> Tensor:
    """Return `value`, unchanged to the last bit, with the gradient of `traced`, which has the same shape."""
    return value.detach() + (traced - traced.detach())  # plus zeros that carry a gradient


def without_rounding(x: Tensor) -> Tensor:
    """Clip rounding errors to [0, 1] but keep the gradient, which a clamp stops at white and black pixels."""
    inside = x.detach().clamp(0, 1)
    return with_gradient_of(x, inside) if x.requires_grad else inside


def clamped(x: Tensor) -> Tensor:
    """Clip to [0, 1], with the gradient of all pixels that lie within already, white and black included.

    In some versions of PyTorch `clamp` has none at its ends, and an attack that begins at a white page would not move.
    """
    return without_rounding(x.clamp(-_ROUNDING, 1 + _ROUNDING)) if x.requires_grad else x.clamp(0, 1)
