"""Draw the classes that a run's targeted attacks reach for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ....core.model import Model
from ....core.seeding import Draws
from ....core.task import Task


def drawn_targets(model: Model, x: Tensor, samples: Sequence[int], *, seed: int) -> Tensor:
    """Return a random class for each image (N,), other than the model's own answer and never rejection.

    All attacks on a system get the same, as the streams that decide them depend on the seed and the samples alone.
    """
    streams = Draws.of(seed, "targets", samples=samples, device=x.device)
    return another_class(model.task, model.judge(x, rng=streams.fork("reference")), streams)


def another_class(task: Task, own: Tensor, rng: Draws) -> Tensor:
    """Return a random class for each of a system's own answers (N,), other than these and never rejection."""
    classes, rejected = task.class_scores, task.rejected
    assert classes is not None  # a recipe is refused otherwise
    if rejected is None:
        return (own + 1 + rng.integers(classes - 1)) % classes
    answers = classes - 1
    another = (own + 1 + rng.integers(answers - 1)) % answers
    return torch.where(own == rejected, rng.fork("from rejection").integers(answers), another)
