"""What gradient attacks ascend, beside the task's own loss."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.model import Model
from ..core.task import Places, Task

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> per-sample loss (N,)."""


@dataclass(frozen=True)
class Objective:
    """A loss to ascend where each image's steps have a length of their own: the task's objective, as `gain` has it.

    From `most` on it rises no further, and has no gradient.
    """

    task: Task
    targeted: bool
    most: float = math.inf

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        return gain(self.task.objective, self.task, self.targeted)(outputs, y).clamp_max(self.most)

    def expected(self, values: Tensor) -> Tensor:
        """Of several evaluations (N, D): what rises where the mean of the task's loss does, or, targeted, falls."""
        found = -self.task.expected(-values) if self.targeted else self.task.expected(values)
        return found.clamp_max(self.most)


@dataclass(frozen=True)
class WeighedObjective(Objective):
    """The same where the loss of some places of an answer counts more than that of others: `weights` are of (N, P).

    They have no gradient. Of a randomized system, what rises is the mean over evaluations of the losses as each of them
    weighs them.
    """

    weights: Callable[[Places], Tensor] = field(kw_only=True)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        places = self.task.places(outputs if self.targeted else self.task.to_leave(outputs, y), y)
        weighed = self.task.weighed(places.losses, self.weights(places)).mean(dim=1)
        return -weighed if self.targeted else weighed


def mean(parts: Sequence[Tensor]) -> Tensor:
    """Over evaluations; of a single one, itself."""
    return parts[0] if len(parts) == 1 else sum(parts[1:], start=parts[0]) / len(parts)


def expectation(loss: Loss, values: Sequence[Tensor]) -> Tensor:
    """Of the values (N,) of a loss in several evaluations."""
    if not isinstance(loss, Objective) or len(values) == 1:
        return mean(values)
    return loss.expected(torch.stack(tuple(values), dim=1))


def gradient_of_expectation(loss: Loss, values: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Given those of the evaluations, (N, C, H, W) each."""
    if not isinstance(loss, Objective) or len(values) == 1:
        return mean(gradients)
    with torch.enable_grad():
        together = torch.stack(tuple(values), dim=1).detach().requires_grad_()
        (weights,) = torch.autograd.grad(loss.expected(together).sum(), together)
    return torch.einsum("nd,dnchw->nchw", weights, torch.stack(tuple(gradients)))


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


def check_target_classes(count: int, *, targeted: bool) -> None:
    """Raises ConfigError for what is no number of classes to reach one by one; a targeted attack has one already."""
    if count < 0 or (targeted and count):
        raise ConfigError(f"Expected target_classes >= 0, and 0 where targeted, got {count}.")


def _at(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def class_count(model: Model) -> int:
    """How many classes the logits are of. Raises ConfigError for a model whose images have not one class each."""
    classes = model.task.class_scores
    if classes is None:
        raise ConfigError(f"Expected a model of image recognition, for its class logits; {model} does {model.task}.")
    return classes
