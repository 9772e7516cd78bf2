"""Images and labels given as two tensors; arrays are refused with an error that shows how to convert them."""

from typing import Any

import numpy as np
from torch import Tensor

from ...core.errors import InputError
from ...core.images import check_images


def pairs(images: Any, labels: Any = None) -> list[tuple[Tensor, int | None]]:
    """Return a list of (image, label) from images, float32 (N, C, H, W) in [0, 1], and labels, int64 (N,) or None.

    Raises InputError, with the conversion that is missing, for anything else.
    """
    _refuse(images, "images", "a float32 tensor (N, C, H, W) in [0, 1]", _from_images(images))
    check_images(images)
    if labels is None:
        return [(image, None) for image in images]
    _refuse(labels, "labels", "an int64 tensor (N,)", _from_labels(labels))
    if labels.shape != (len(images),):
        got = tuple(labels.shape)
        raise InputError(f"Expected a label for each of {len(images)} images, got labels of shape {got}.")
    return list(zip(images, labels.tolist(), strict=True))


def _refuse(given: Any, name: str, expected: str, conversion: str) -> None:
    if conversion == name:
        return
    shaped = isinstance(given, Tensor | np.ndarray)
    what = f"{type(given).__name__}{f' of {given.dtype}, {tuple(given.shape)}' if shaped else ''}"
    raise InputError(f"Expected {name} as {expected}, got {what}; convert: {name} = {conversion}")


def _from_images(given: Any) -> str:
    """Return the Python expression that converts `images` to what is expected."""
    found = _from_array(given, "images")
    if not isinstance(given, Tensor | np.ndarray):
        return found
    if given.ndim == 3:
        found += ".unsqueeze(1)"
    elif given.ndim == 4 and given.shape[1] not in (1, 3) and given.shape[3] in (1, 3):
        found += ".permute(0, 3, 1, 2)"
    if not str(given.dtype).endswith("float32"):
        found += ".float()"
    return f"{found} / 255" if _are_levels(given) else found


def _are_levels(given: Tensor | np.ndarray) -> bool:
    """Return whether pixel values are in 0..255 rather than [0, 1]."""
    if "int" in str(given.dtype):
        return True
    empty = 0 in given.shape
    return not empty and float(given.min()) >= 0 and 1 < float(given.max()) <= 255


def _from_labels(given: Any) -> str:
    found = _from_array(given, "labels")
    if not isinstance(given, Tensor | np.ndarray):
        return found
    if given.ndim == 2:
        return f"{found}.argmax(dim=1)"
    return found if str(given.dtype) in ("torch.int64", "int64") else f"{found}.long()"


def _from_array(given: Any, name: str) -> str:
    if isinstance(given, Tensor):
        return name
    return f"torch.from_numpy({name})" if isinstance(given, np.ndarray) else f"torch.tensor({name})"
