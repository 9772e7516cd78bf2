"""The value of one tensor with the gradient of another."""

from torch import Tensor


def with_gradient_of(traced: Tensor, value: Tensor) -> Tensor:
    """`value`, to the last bit, with the gradient of `traced`, which has the same shape."""
    return value.detach() + (traced - traced.detach())  # plus zeros that carry a gradient
