"""Input gradients of a model, for all gradient attacks."""

import torch
from torch import Tensor

from ..core.errors import ConfigError, GradientError
from ..core.model import Model
from ..core.seeding import Draws
from ._losses import Loss, expectation, gradient_of_expectation, mean


def loss_and_gradient(
    model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss (N,), its gradient (N, C, H, W), and the outputs, from one forward and one backward pass.

    The loss is the task's unless one is given. Losses are summed over the images, so that no image affects another.
    Only `x` is differentiated. For a randomized system, loss and gradient are those of the expectation over
    `model.draws` evaluations (EOT), a pair of passes each, and the outputs are their average. Raises GradientError if a
    gradient is missing or not finite, ConfigError for a defense without a gradient.
    """
    found, gradient, outputs = unchecked_loss_and_gradient(model, x, y, rng=rng, loss=loss)
    check_finite(model, gradient)
    return found, gradient, outputs


def unchecked_loss_and_gradient(
    model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None, loss: Loss | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Like `loss_and_gradient`, for callers who check themselves that the gradient is finite."""
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
    """Return the loss (N,) and the outputs like `loss_and_gradient`, from forward passes alone."""
    with torch.no_grad():
        outputs, loss = model.each(x, rng=rng), loss or model.task.loss
        return expectation(loss, [loss(each, y) for each in outputs]), model.average(outputs)


def class_gradients(
    model: Model, x: Tensor, directions: Tensor, *, rng: Draws | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the values (N, D) and gradients (N, D, C, H, W) of D linear combinations of the outputs.

    `directions` (N, D, K) are their coefficients. The third result are the outputs. It takes one forward pass and D
    backward passes. For a randomized system, values and gradients are means over `model.draws` evaluations, and the
    outputs are the task's average. Raises like `loss_and_gradient`.
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
    """Raise ConfigError if a shell around the network is not differentiable."""
    masked = [shell for shell in model.shells if not shell.differentiable]
    if masked:
        raise ConfigError(f"{masked[0]!r} has no gradient to follow; craft on the model without it.")


def gradient_at(model: Model, x: Tensor, value: Tensor, *, retain_graph: bool = False) -> Tensor:
    """Return the gradient of `value`, a sum over images, at `x`. Raises GradientError if autograd finds none."""
    found = None
    if value.requires_grad:  # true for a quantised network, too
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
