"""Targets that a task does not take, by the image that they are of."""

from collections.abc import Sequence

from torch import Tensor

from ...core.errors import InputError
from ...core.task import Task


def check_targets(task: Task, targets: Tensor, samples: Sequence[object]) -> None:
    """Raise InputError, which names the first wrong one of `samples` if a single one can be told, for such targets."""
    try:
        task.check_targets(targets, len(samples))
    except InputError:
        if isinstance(targets, Tensor) and len(targets) == len(samples):
            for row, sample in enumerate(samples):
                try:
                    task.check_targets(targets[row : row + 1], 1)
                except InputError as error:
                    raise InputError(f"image {sample}: {error}") from None
        raise
