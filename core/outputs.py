"""The choice of one tensor where a network or a layer returns several."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .errors import InputError
from .task import Task

_NAMES = ("logits", "out")
"""The names that Transformers and torchvision give it."""


def main_output(outputs: Any, name: str, fits: Callable[[Tensor], bool]) -> Tensor:
    """Return a tensor itself; of several, the one called `logits` or `out`, or else the only one that `fits`.

    Raises InputError if none fits, or more than one.
    """
    if isinstance(outputs, Tensor):
        return outputs
    named = [value for key in _NAMES if isinstance(value := _named(outputs, key), Tensor)]
    if named:
        return named[0]
    several = outputs.values() if isinstance(outputs, Mapping) else outputs
    tensors = (
        [value for value in several if isinstance(value, Tensor)] if isinstance(outputs, tuple | list | Mapping) else []
    )
    found = [tensor for tensor in tensors if fits(tensor)]
    if len(found) != 1:
        raise InputError(
            f"Expected {name} to return a tensor, got {type(outputs).__name__} with {len(found)} tensors that it could "
            "be; wrap the network in a module that returns the one that is meant."
        )
    return found[0]


def as_outputs_of(task: Task, images: int) -> Callable[[Tensor], bool]:
    """Return a function that tells whether a tensor has the shape of the task's outputs for so many images."""

    def fits(outputs: Tensor) -> bool:
        try:
            task.check_outputs(torch.zeros(outputs.shape), images)
        except InputError:
            return False
        return True

    return fits


def _named(outputs: Any, key: str) -> Any:
    return outputs.get(key) if isinstance(outputs, Mapping) else getattr(outputs, key, None)
