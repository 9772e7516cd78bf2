"""What gradient attacks ascend, beside the task's own loss. Every loss maps (outputs, targets) to (N,)."""

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.model import Model
from ..tasks.recognition import Recognition
from ._gradient import Loss


def gain(loss: Loss, targeted: bool) -> Loss:
    """What to ascend: the loss at the class to leave, or minus the loss at the class to reach."""
    return (lambda outputs, y: -loss(outputs, y)) if targeted else loss


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of `y`: positive where the prediction has left `y`, 0 on the boundary."""
    own = logits.gather(1, y[:, None])[:, 0]
    return other_classes(logits, y).amax(dim=1) - own


def other_classes(logits: Tensor, y: Tensor) -> Tensor:
    """The logits, minus infinity at `y`."""
    return logits.scatter(1, y[:, None], -torch.inf)


def class_count(model: Model) -> int:
    """How many classes the logits are of. Raises ConfigError for a model of another task."""
    if not isinstance(model.task, Recognition):
        raise ConfigError(f"Expected a model of image recognition, for its class logits; {model} does {model.task}.")
    return model.task.classes
