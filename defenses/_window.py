"""Check that a filter window fits an image."""

from torch import Tensor

from ..core.defense import InputTransform
from ..core.errors import InputError


def check_reach(defense: InputTransform, radius: int, x: Tensor) -> None:
    """Raise InputError unless both sides of `x` are larger than the `radius` of the defense's window, in pixels."""
    if min(x.shape[2:]) <= radius:
        raise InputError(f"{defense} needs images larger than {radius} pixels a side, got {tuple(x.shape[2:])}.")
