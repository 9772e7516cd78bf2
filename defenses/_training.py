"""Training loop of the defenses that are networks: Adam over mini-batches, reproducible from one random stream."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..core.seeding import Draws

Weights = dict[str, Tensor]


def train(
    start: Weights,
    loss: Callable[[Mapping[str, Tensor], Tensor, Draws], Tensor],
    images: int,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    rng: Draws,
    progress: Callable[[int, int], None],
) -> Weights:
    """Train for `epochs` passes over `images` images in random order, and return the weights.

    `start` are the initial weights. `loss(weights, rows, rng)` returns the scalar loss on the images with the given
    indices; `rng` is a stream for this batch alone. The learning rate decays to zero along a half cosine, and the
    gradient is clipped to norm 1. `progress` is called with (steps done, total steps).
    """
    weights = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    adam = torch.optim.Adam(weights.values(), learning_rate)
    batches = math.ceil(images / batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * batches)
    for epoch in range(epochs):
        order = rng.fork(f"epoch {epoch}").uniform((images,))[0].argsort()
        for batch, rows in enumerate(order.split(batch_size)):
            done = epoch * batches + batch
            with torch.enable_grad():
                objective = loss(weights, rows, rng.fork(f"batch {done}"))
                gradients = torch.autograd.grad(objective, list(weights.values()))
            for tensor, gradient in zip(weights.values(), gradients, strict=True):
                tensor.grad = gradient
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            adam.step()
            schedule.step()
            progress(done + 1, epochs * batches)
    return {name: tensor.detach() for name, tensor in weights.items()}


def convolution(out: int, into: int, rng: Draws, *, size: int = 3) -> Tensor:
    """Return random weights (out, into, size, size), initialised for ReLU inputs (He et al. 2015)."""
    return rng.normal((out, into, size, size))[0] * math.sqrt(2 / (into * size * size))
