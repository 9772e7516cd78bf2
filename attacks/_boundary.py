"""The class boundary that is nearest according to the linearised model."""

import torch
from torch import Tensor

from ..core.model import Model
from ..core.norms import Norm
from ..core.seeding import Draws
from ._gradient import check_differentiable, check_finite, gradient_at, mean
from ._hyperplane import linear_distance


def nearest_boundary(
    model: Model, x: Tensor, y: Tensor, others: Tensor, norm: Norm, *, rng: Draws
) -> tuple[Tensor, Tensor, Tensor]:
    """Return which linearised boundary between `y` (N,) and each of the classes `others` (N, D) is nearest.

    What counts for `y` is merged into it (`Task.to_leave`). Returns the column in `others` (N,), the lead of that class
    over `y` (N,), and the gradient of the lead (N, C, H, W). It takes one forward and D backward passes, with at most
    two gradients in memory. For a randomized system, all are means over `model.draws` evaluations. Raises like
    `loss_and_gradient`.
    """
    check_differentiable(model)
    point = x.detach().requires_grad_()
    outputs = model.task.to_leave(mean(model.each(point, rng=rng)), y)
    leads = outputs.gather(1, others) - outputs.gather(1, y[:, None])
    slope, nearest, chosen = torch.zeros_like(x), x.new_full((len(x),), torch.inf), torch.zeros_like(y)
    for place in range(others.shape[1]):
        other = gradient_at(model, point, leads[:, place].sum(), retain_graph=place + 1 < others.shape[1])
        check_finite(model, other)
        distance = linear_distance(leads[:, place].detach(), other, norm)
        nearer = distance < nearest
        slope[nearer], nearest[nearer], chosen[nearer] = other[nearer], distance[nearer], place
    return chosen, leads.detach().gather(1, chosen[:, None])[:, 0], slope
