"""What gradient attacks ascend, beside the task's own loss. Every loss maps (outputs, targets) to (N,)."""

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.model import Model
from ..core.task import Task
from ._gradient import Loss


def objective(model: Model, targeted: bool) -> Loss:
    """What to ascend where each image's steps have a length of their own: the task's objective, as `gain` has it.

    Where it is a mean over draws (EOT), it is the mean of the loss itself.
    """
    single = not model.randomized or model.draws == 1
    return gain(model.task.objective if single else model.task.loss, model.task, targeted)


def gain(loss: Loss, task: Task, targeted: bool) -> Loss:
    """What to ascend: the loss at the class to leave, and at what counts for it, or minus the loss at one to reach."""
    if targeted:
        return lambda outputs, y: -loss(outputs, y)
    return lambda outputs, y: loss(task.to_leave(outputs, y), y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of `y`: positive where the prediction has left `y`, 0 on the boundary."""
    return other_classes(logits, y).amax(dim=1) - _at(logits, y)


def lead(logits: Tensor, y: Tensor, rival: Tensor) -> Tensor:
    """The logit of the class `rival` minus that of `y`."""
    return _at(logits, rival) - _at(logits, y)


def other_classes(logits: Tensor, y: Tensor) -> Tensor:
    """The logits, minus infinity at `y`."""
    return logits.scatter(1, y[:, None], -torch.inf)


def rivals(model: Model, outputs: Tensor, y: Tensor, most: int) -> Tensor:
    """Up to `most` classes that an attack away from `y` may end in, never rejection: (N, D), the likeliest first.

    Raises ConfigError for a model whose images have not one class each.
    """
    reachable = class_count(model) - 1 - (model.task.rejected is not None)
    return other_classes(model.task.to_leave(outputs, y), y).topk(min(most, reachable), dim=1).indices


def _at(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def class_count(model: Model) -> int:
    """How many classes the logits are of. Raises ConfigError for a model whose images have not one class each."""
    classes = model.task.class_scores
    if classes is None:
        raise ConfigError(f"Expected a model of image recognition, for its class logits; {model} does {model.task}.")
    return classes
