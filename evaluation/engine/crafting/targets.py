"""Draw the classes that a run's targeted attacks reach for."""

import torch
from torch import Tensor

from ....core.seeding import Draws
from ....core.task import Task


def drawn_targets(task: Task, own: Tensor, rng: Draws) -> Tensor:
    """Return a random class for each of a system's own answers (N,), other than these and never rejection."""
    classes, rejected = task.class_scores, task.rejected
    assert classes is not None  # a recipe is refused otherwise
    if rejected is None:
        return (own + 1 + rng.integers(classes - 1)) % classes
    answers = classes - 1
    another = (own + 1 + rng.integers(answers - 1)) % answers
    return torch.where(own == rejected, rng.fork("from rejection").integers(answers), another)
