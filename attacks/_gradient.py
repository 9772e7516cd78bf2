"""The input gradient that all gradient attacks share."""

import torch
from torch import Tensor

from ..core.errors import ConfigError, GradientError
from ..core.model import Model
from ..core.seeding import Draws


def loss_and_gradient(model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Per-sample loss (N,), its gradient (N, C, H, W), and the outputs, one forward and one backward pass.

    The samples' losses are summed, so no image weighs on another's gradient. Nothing but `x` is differentiated.
    Raises GradientError where a gradient is not finite, ConfigError where a defense has none.
    """
    masked = [transform for transform in model.transforms if not transform.differentiable]
    if masked:
        raise ConfigError(f"{masked[0]!r} has no gradient to follow; craft on the model without it.")
    x = x.detach().requires_grad_()
    outputs = model.logits(x, rng=rng)
    loss = model.task.loss(outputs, y)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    if (
        not torch.isfinite(gradient.sum()) and not torch.isfinite(gradient).all()
    ):  # the sign of NaN is 0: the image would stay as it is and look robust
        broken = int((~torch.isfinite(gradient)).flatten(1).any(dim=1).sum())
        raise GradientError(
            f"{model} has NaN or infinite gradients for {broken} of {len(x)} images; it cannot be judged."
        )
    return loss.detach(), gradient, outputs.detach()
