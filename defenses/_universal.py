"""Universal perturbations to learn a defense from, under Linf.

They come from ascent of the model's loss (Shafahi et al. 2020, https://arxiv.org/abs/1811.11304), as in the attack
`universal-pgd`, which a defense may not import.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..core.model import Model
from ..core.norms import per_row, project, size
from ..core.seeding import Draws

_PASSES = 4  # over the images on which one perturbation is made
_CLAMP = 9.0  # of an image's loss: one that is fooled pulls no further


def crafting_steps(images: int, count: int, batch_size: int) -> int:
    """How many steps `universal` takes."""
    return count * _PASSES * math.ceil(math.ceil(images / 2) / batch_size)


def universal(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    count: int,
    eps: float,
    batch_size: int,
    rng: Draws,
    progress: Callable[[int], None],
) -> Tensor:
    """`count` perturbations (count, C, H, W), each made on another random half of the images, from a random start."""
    found, done = [], 0
    for place in range(count):
        own = rng.fork(place)
        half = own.uniform((len(images),))[0].argsort()[: math.ceil(len(images) / 2)]
        delta = own.uniform(images.shape[1:], -eps, eps)
        for index in range(_PASSES):
            order = own.fork(index).uniform((len(half),))[0].argsort()
            for rows in half[order].split(batch_size):
                gradient = _gradient(model, delta, images[rows], labels[rows])
                delta = project(delta + eps / 5 * gradient.sign(), "linf", eps)
                done += 1
                progress(done)
        found.append(delta)
    return torch.cat(found)


def combined(real: Tensor, count: int, *, eps: float, rng: Draws) -> Tensor:
    """`count` random positive combinations of perturbations, inside the ball.

    Random multiples, in [0, 1], of random ones are added until the L2 norm is the mean of theirs, or they are used up.
    """
    target = size(real, "l2").mean()
    found = torch.zeros_like(real[:1].expand(count, -1, -1, -1))
    for _ in range(max(8, len(real))):
        short = (size(found, "l2") < target).float()
        share = short * rng.uniform((count,))[0]
        found = project(found + per_row(share, found) * real[rng.integers(len(real), (count,))[0]], "linf", eps)
    return found


def _gradient(model: Model, delta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    with torch.enable_grad():
        delta = delta.detach().requires_grad_()
        losses = model.task.loss(model.logits((x + delta).clamp(0, 1)), y)
        return torch.autograd.grad(losses.clamp_max(_CLAMP).sum(), delta)[0]
