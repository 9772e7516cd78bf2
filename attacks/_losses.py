"""What gradient attacks ascend, beside the task's own loss. Every loss maps (outputs, targets) to (N,)."""

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.model import Model
from ..tasks.recognition import Recognition
from ._gradient import Loss


def objective(model: Model, targeted: bool) -> Loss:
    """What to ascend where each image's steps have a length of their own: the task's loss, as `gain` has it.

    Of recognition it is the log-odds. They rise exactly where cross-entropy does and in the same direction, but not
    ever more slowly the surer the network is: from a margin of 100 on, float32 has no gradient of cross-entropy left.
    Where the objective is a mean over draws (EOT), it is the mean of the loss itself.
    """
    single = not model.randomized or model.draws == 1
    return gain(log_odds if single and isinstance(model.task, Recognition) else model.task.loss, targeted)


def gain(loss: Loss, targeted: bool) -> Loss:
    """What to ascend: the loss at the class to leave, or minus the loss at the class to reach."""
    return (lambda outputs, y: -loss(outputs, y)) if targeted else loss


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """Of all classes but `y` against it: log(1 / p - 1) for its probability p."""
    return other_classes(logits, y).logsumexp(dim=1) - _at(logits, y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of `y`: positive where the prediction has left `y`, 0 on the boundary."""
    return other_classes(logits, y).amax(dim=1) - _at(logits, y)


def lead(logits: Tensor, y: Tensor, rival: Tensor) -> Tensor:
    """The logit of the class `rival` minus that of `y`."""
    return _at(logits, rival) - _at(logits, y)


def other_classes(logits: Tensor, y: Tensor) -> Tensor:
    """The logits, minus infinity at `y`."""
    return logits.scatter(1, y[:, None], -torch.inf)


def _at(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def class_count(model: Model) -> int:
    """How many classes the logits are of. Raises ConfigError for a model of another task."""
    if not isinstance(model.task, Recognition):
        raise ConfigError(f"Expected a model of image recognition, for its class logits; {model} does {model.task}.")
    return model.task.classes
