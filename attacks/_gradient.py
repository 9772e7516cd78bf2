"""The input gradients that all gradient attacks share."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.errors import ConfigError, GradientError
from ..core.model import Model
from ..core.seeding import Draws

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> per-sample loss (N,)."""


def loss_and_gradient(
    model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Per-sample loss (N,), its gradient (N, C, H, W), and the outputs, one forward and one backward pass.

    The loss is the task's where none is given. The samples' losses are summed, so no image weighs on another's. Nothing
    but `x` is differentiated. Of a randomized system, loss and gradient are the means over `model.draws` evaluations
    (EOT), a pair of passes each, and the outputs those of the first. Raises GradientError where a gradient is not
    finite, ConfigError for a defense with none.
    """
    check_differentiable(model)
    first, *others = model.evaluations(rng)
    single, x = model.through(model.transforms), x.detach().requires_grad_()
    losses, gradient, outputs = _of_one_evaluation(single, x, y, first, loss or model.task.loss)
    for streams in others:
        more, ahead, _ = _of_one_evaluation(single, x, y, streams, loss or model.task.loss)
        losses = losses + more  # not in place: a loss may be a view of the outputs
        gradient += ahead
    if others:
        losses /= 1 + len(others)
        gradient /= 1 + len(others)
    check_finite(model, gradient)
    return losses, gradient, outputs


def _of_one_evaluation(
    model: Model, x: Tensor, y: Tensor, rng: Draws | None, loss: Loss
) -> tuple[Tensor, Tensor, Tensor]:
    outputs = model.logits(x, rng=rng)
    losses = loss(outputs, y)
    (gradient,) = torch.autograd.grad(losses.sum(), x)
    return losses.detach(), gradient, outputs.detach()


def class_gradients(model: Model, x: Tensor, directions: Tensor, *, rng: Draws | None = None) -> tuple[Tensor, Tensor]:
    """Outputs (N, K), and the gradient (N, D, C, H, W) of D linear combinations of them, given as (N, D, K).

    One forward pass and D backward passes. Raises like `loss_and_gradient`.
    """
    check_differentiable(model)
    x = x.detach().requires_grad_()
    outputs = model.logits(x, rng=rng)
    found = []
    for place in range(directions.shape[1]):
        last = place == directions.shape[1] - 1
        (gradient,) = torch.autograd.grad(outputs, x, grad_outputs=directions[:, place], retain_graph=not last)
        found.append(gradient)
    gradients = torch.stack(found, dim=1)
    check_finite(model, gradients)
    return outputs.detach(), gradients


def check_differentiable(model: Model) -> None:
    """Raise ConfigError where a transform before the network has no gradient."""
    masked = [transform for transform in model.transforms if not transform.differentiable]
    if masked:
        raise ConfigError(f"{masked[0]!r} has no gradient to follow; craft on the model without it.")


def check_finite(model: Model, gradient: Tensor) -> None:
    """Raise GradientError for NaN or infinity: its sign may be 0, and the image would stay and look robust."""
    if torch.isfinite(gradient.sum()):  # one pass over the data; a sum can overflow where no entry does
        return
    broken = int((~torch.isfinite(gradient)).flatten(1).any(dim=1).sum())
    if broken:
        raise GradientError(
            f"{model} has NaN or infinite gradients for {broken} of {len(gradient)} images; it cannot be judged."
        )
