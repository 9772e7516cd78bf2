"""Check of images against the shape that a defense was trained on."""

from collections.abc import Sequence

from torch import Tensor

from ..core.errors import InputError


def check_learned(x: Tensor, shape: Sequence[int | None]) -> None:
    """Raise InputError unless images have the (C, H, W) of the training images; None in `shape` means any size."""
    if any(wanted not in (None, found) for wanted, found in zip(shape, x.shape[1:], strict=True)):
        expected = ", ".join("any" if side is None else str(side) for side in shape)
        raise InputError(f"Expected images of shape ({expected}), as learned, got {tuple(x.shape[1:])}.")
