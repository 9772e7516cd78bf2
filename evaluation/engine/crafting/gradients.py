"""Whether a system has a gradient that an attack could follow."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ....attacks import Objective
from ....core.dataset import Dataset
from ....core.model import Model
from ....core.seeding import Draws
from ...grid.sampling import sample

VANISHING = 1e-30
"""The largest entry of a gradient that counts as zero: float32 is about to lose it. A healthy network that is sure of
an image has gradients of 1e-15, which attacks follow as well as any, for only the direction counts.
"""
JUDGED = 64
"""How many images a system's gradient is judged by: the first of the data set, whatever a recipe takes of them."""
InPieces = Callable[[int, Callable[[slice], Tensor]], list[Tensor]]
"""What comes of so many images, of as many at a time as memory holds."""


def judged_for_gradients(dataset: Dataset, seed: int) -> Sequence[int]:
    """The samples at which gradients are looked for."""
    return sample(dataset, min(JUDGED, len(dataset)), "balanced", seed)


def vanishing_share(
    model: Model,
    images: Tensor,
    judged: Sequence[int],
    seed: int,
    in_pieces: InPieces = lambda count, work: [work(slice(count))],
) -> float:
    """At how many of the `images` of samples that are `judged`, in 0..1, an attack that follows the gradient of `model`
    finds none.
    """

    def magnitude(rows: slice) -> Tensor:
        x = images[rows].to(model.device)
        rng = Draws.of(seed, "gradient", samples=judged[rows], device=x.device)
        point = x.requires_grad_()
        outputs = model(point, rng=rng)
        losses = Objective(model.task, targeted=False)(outputs, model.task.predict(outputs.detach()))
        gradient = torch.autograd.grad(losses.sum(), point, allow_unused=True)[0] if losses.requires_grad else None
        return torch.zeros(len(x)) if gradient is None else gradient.flatten(1).abs().amax(dim=1).cpu()

    with torch.inference_mode(False), torch.enable_grad():  # also for callers who have switched gradients off
        found = torch.cat(in_pieces(len(images), magnitude))
    return float((found <= VANISHING).double().mean())
