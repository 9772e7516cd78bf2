"""The losses that gradient attacks ascend, beside the task's own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.model import Model
from ..core.task import Places, Task

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps (outputs, targets) to the loss of each sample, (N,)."""


@dataclass(frozen=True)
class Objective:
    """The task's objective as a loss to ascend, in the sense of `gain`, for attacks that normalise gradients.

    It is clipped at `most`, above which it has no gradient.
    """

    task: Task
    targeted: bool
    most: float = math.inf

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        return gain(self.task.objective, self.task, self.targeted)(outputs, y).clamp_max(self.most)

    def expected(self, values: Tensor) -> Tensor:
        """Combine values (N, D) of D evaluations to one that rises with their mean loss or, targeted, falls with it."""
        found = -self.task.expected(-values) if self.targeted else self.task.expected(values)
        return found.clamp_max(self.most)


@dataclass(frozen=True)
class WeighedObjective(Objective):
    """An objective in which the losses at the places of an output have `weights` (N, P), without gradient.

    On a randomized system it rises with the mean over evaluations of the weighted losses, each with weights of its own.
    """

    weights: Callable[[Places], Tensor] = field(kw_only=True)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        places = self.task.places(outputs if self.targeted else self.task.to_leave(outputs, y), y)
        weighed = self.task.weighed(places.losses, self.weights(places)).mean(dim=1)
        return -weighed if self.targeted else weighed


def mean(parts: Sequence[Tensor]) -> Tensor:
    """Return the mean over evaluations; that of a single one is itself."""
    return parts[0] if len(parts) == 1 else sum(parts[1:], start=parts[0]) / len(parts)


def expectation(loss: Loss, values: Sequence[Tensor]) -> Tensor:
    """Return the expectation of a loss from its values (N,) in several evaluations."""
    if not isinstance(loss, Objective) or len(values) == 1:
        return mean(values)
    return loss.expected(torch.stack(tuple(values), dim=1))


def gradient_of_expectation(loss: Loss, values: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return the gradient of that expectation from those of the evaluations, (N, C, H, W) each."""
    if not isinstance(loss, Objective) or len(values) == 1:
        return mean(gradients)
    with torch.enable_grad():
        together = torch.stack(tuple(values), dim=1).detach().requires_grad_()
        (weights,) = torch.autograd.grad(loss.expected(together).sum(), together)
    return torch.einsum("nd,dnchw->nchw", weights, torch.stack(tuple(gradients)))


def gain(loss: Loss, task: Task, targeted: bool) -> Loss:
    """Return what an attack ascends: the loss of the outputs as `to_leave` has them or, targeted, minus the loss."""
    if targeted:
        return lambda outputs, y: -loss(outputs, y)
    return lambda outputs, y: loss(task.to_leave(outputs, y), y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the largest other logit minus that of `y`: positive if the prediction has left `y`, 0 on the boundary."""
    return other_classes(logits, y).amax(dim=1) - _at(logits, y)


def lead(logits: Tensor, y: Tensor, rival: Tensor) -> Tensor:
    """Return the logit of the class `rival` minus that of `y`."""
    return _at(logits, rival) - _at(logits, y)


def other_classes(logits: Tensor, y: Tensor) -> Tensor:
    """Return the logits, with minus infinity at `y`."""
    return logits.scatter(1, y[:, None], -torch.inf)


def rivals(model: Model, outputs: Tensor, y: Tensor, most: int) -> Tensor:
    """Return up to `most` classes that an attack away from `y` may end in, (N, D), the likeliest first.

    Rejection is never among them. Away from it, an attack may end in any class; away from a class there is one less,
    and the likeliest comes twice if all are asked for. Raises ConfigError for a model without class scores.
    """
    classes, rejected = class_count(model), model.task.rejected
    others = other_classes(model.task.to_leave(outputs, y), y)
    if rejected is None:
        return others.topk(min(most, classes - 1), dim=1).indices
    others = others.index_fill(1, torch.tensor(rejected, device=y.device), -torch.inf)
    found = others.topk(min(most, classes - 1), dim=1).indices
    return torch.where(others.gather(1, found) > -torch.inf, found, found[:, :1])


def check_target_classes(count: int, *, targeted: bool) -> None:
    """Raise ConfigError unless `count` >= 0, and 0 for a targeted attack, which has a class to reach already."""
    if count < 0 or (targeted and count):
        raise ConfigError(f"Expected target_classes >= 0, and 0 where targeted, got {count}.")


def _at(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def class_count(model: Model) -> int:
    """Return the number of classes of the logits. Raises ConfigError for a model without class scores."""
    classes = model.task.class_scores
    if classes is None:
        raise ConfigError(f"Expected a model of image recognition, for its class logits; {model} does {model.task}.")
    return classes
