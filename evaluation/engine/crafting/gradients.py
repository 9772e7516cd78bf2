"""Measure at how many images a system has a gradient that an attack can follow."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ....attacks import Objective
from ....core.dataset import Dataset
from ....core.model import Model
from ....core.seeding import Draws
from ...grid.sampling import sample

VANISHING = 1e-30
"""The largest gradient entry that counts as zero: float32 is about to underflow there. A healthy network that is sure
of an image has gradients of 1e-15, which attacks follow as well as any other, since only the direction counts.
"""
JUDGED = 64
"""The number of images by which a system's gradient is judged: a balanced sample, whatever images a recipe takes."""
InPieces = Callable[[int, Callable[[slice], Tensor]], list[Tensor]]
"""Maps (number of images, function of a slice) to the function's results, for as many images at a time as memory holds.
"""


def judged_for_gradients(dataset: Dataset, seed: int) -> Sequence[int]:
    """Return the indices of the evaluation samples at which gradients are measured."""
    return sample(dataset, min(JUDGED, len(dataset)), "balanced", seed)


def vanishing_share(
    model: Model,
    images: Tensor,
    judged: Sequence[int],
    seed: int,
    in_pieces: InPieces = lambda count, work: [work(slice(count))],
) -> float:
    """Return the share of `images` (N, C, H, W), in 0..1, at which the gradient of `model` vanishes.

    `judged` are their sample indices, which name the random streams.
    """

    def magnitude(rows: slice) -> Tensor:
        x = images[rows].to(model.device)
        rng = Draws.of(seed, "gradient", samples=judged[rows], device=x.device)
        point = x.requires_grad_()
        outputs = model(point, rng=rng)
        losses = Objective(model.task, targeted=False)(outputs, model.task.predict(outputs.detach()))
        gradient = torch.autograd.grad(losses.sum(), point, allow_unused=True)[0] if losses.requires_grad else None
        return torch.zeros(len(x)) if gradient is None else gradient.flatten(1).abs().amax(dim=1).cpu()

    with torch.inference_mode(False), torch.enable_grad():  # the caller may have switched gradients off
        found = torch.cat(in_pieces(len(images), magnitude))
    return float((found <= VANISHING).double().mean())
