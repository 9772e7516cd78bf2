"""The input gradients that all gradient attacks share."""

import torch
from torch import Tensor

from ..core.errors import ConfigError, GradientError
from ..core.model import Model
from ..core.seeding import Draws
from ._losses import Loss, expectation, gradient_of_expectation, mean


def loss_and_gradient(
    model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Per-sample loss (N,), its gradient (N, C, H, W), and the outputs, one forward and one backward pass.

    The loss is the task's where none is given. The samples' losses are summed, so no image weighs on another's. Nothing
    but `x` is differentiated. Of a randomized system, loss and gradient are those of the expectation over `model.draws`
    evaluations (EOT), a pair of passes each, and the outputs their average. Raises GradientError where a gradient is
    not finite, ConfigError for a defense with none.
    """
    found, gradient, outputs = unchecked_loss_and_gradient(model, x, y, rng=rng, loss=loss)
    check_finite(model, gradient)
    return found, gradient, outputs


def unchecked_loss_and_gradient(
    model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same for callers who ask themselves whether the gradient is finite, with what else they ask the device."""
    check_differentiable(model)
    single, x, loss = model.through(model.shells), x.detach().requires_grad_(), loss or model.task.loss
    losses, gradients, outputs = zip(
        *(_of_one_evaluation(single, x, y, streams, loss) for streams in model.evaluations(rng)), strict=True
    )
    gradient = gradient_of_expectation(loss, losses, gradients)
    return expectation(loss, losses), gradient, model.average(outputs)


def _of_one_evaluation(
    model: Model, x: Tensor, y: Tensor, rng: Draws | None, loss: Loss
) -> tuple[Tensor, Tensor, Tensor]:
    outputs = model.logits(x, rng=rng)
    losses = loss(outputs, y)
    gradient = gradient_at(model, x, losses.sum())
    return losses.detach(), gradient, outputs.detach()


def loss_and_outputs(
    model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor]:
    """The same without the gradient: forward passes alone, for a last look."""
    with torch.no_grad():
        outputs, loss = model.each(x, rng=rng), loss or model.task.loss
        return expectation(loss, [loss(each, y) for each in outputs]), model.average(outputs)


def class_gradients(
    model: Model, x: Tensor, directions: Tensor, *, rng: Draws | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """D linear combinations of the outputs, given as (N, D, K): their values (N, D) and gradients (N, D, C, H, W).

    The third result are the outputs themselves. One forward pass and D backward passes. Of a randomized system, values
    and gradients are the means over `model.draws` evaluations, and the outputs the average that the task takes. Raises
    like `loss_and_gradient`.
    """
    check_differentiable(model)
    x = x.detach().requires_grad_()
    evaluations = model.each(x, rng=rng)
    expected = mean(evaluations)
    found = []
    for place in range(directions.shape[1]):
        last = place == directions.shape[1] - 1
        gradient = gradient_at(model, x, (expected * directions[:, place]).sum(), retain_graph=not last)
        found.append(gradient)
    gradients = torch.stack(found, dim=1)
    check_finite(model, gradients)
    values = (directions @ expected.detach()[:, :, None])[:, :, 0]
    return values, gradients, model.average(evaluations).detach()


def check_differentiable(model: Model) -> None:
    """Raise ConfigError where something around the network has no gradient."""
    masked = [shell for shell in model.shells if not shell.differentiable]
    if masked:
        raise ConfigError(f"{masked[0]!r} has no gradient to follow; craft on the model without it.")


def gradient_at(model: Model, x: Tensor, value: Tensor, *, retain_graph: bool = False) -> Tensor:
    """The gradient of a sum over images. Raises GradientError for a network that autograd does not see through."""
    found = None
    if value.requires_grad:  # which outputs of a quantised network do, too
        (found,) = torch.autograd.grad(value, x, retain_graph=retain_graph, allow_unused=True)
    if found is None:
        raise GradientError(
            f"{model} gives outputs that do not depend on the images by any gradient, as a quantised network does; "
            "attacks that need its scores or decisions only can be used."
        )
    return found


def check_finite(model: Model, gradient: Tensor) -> None:
    """Raise GradientError for NaN or infinity: its sign may be 0, and the image would stay and look robust."""
    if torch.isfinite(gradient.sum()):  # one pass over the data; a sum can overflow where no entry does
        return
    broken = int((~torch.isfinite(gradient)).flatten(1).any(dim=1).sum())
    if broken:
        raise GradientError(
            f"{model} has NaN or infinite gradients for {broken} of {len(gradient)} images; it cannot be judged."
        )
