"""The input gradient that all gradient attacks share."""

import torch
from torch import Tensor

from ..core.model import Model
from ..core.seeding import Draws


def loss_and_gradient(model: Model, x: Tensor, y: Tensor, *, rng: Draws | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Per-sample loss (N,), its gradient (N, C, H, W), and the outputs, one forward and one backward pass.

    The samples' losses are summed, so no image weighs on another's gradient. Nothing but `x` is differentiated.
    """
    x = x.detach().requires_grad_()
    outputs = model.logits(x, rng=rng)
    loss = model.task.loss(outputs, y)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach(), gradient, outputs.detach()
