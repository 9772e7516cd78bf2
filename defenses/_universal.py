"""Universal perturbations under Linf as training data of a defense: crafted ones, and random combinations of them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..attacks.universal import UniversalPGD
from ..core.model import Model
from ..core.norms import per_row, project, size
from ..core.seeding import Draws
from ..core.universal_attack import CraftingData

_PASSES = 4  # epochs of crafting for each perturbation
_JUDGED = 128  # validation images on which the best iterate is chosen


def crafting_steps(images: int, count: int, batch_size: int) -> int:
    """Return the number of steps that `crafted` takes."""
    return count * _PASSES * math.ceil(math.ceil(images / 2) / batch_size)


def crafted(
    model: Model,
    images: Tensor,
    *,
    count: int,
    eps: float,
    batch_size: int,
    rng: Draws,
    progress: Callable[[int], None],
) -> Tensor:
    """Craft perturbations (count, C, H, W) with the attack `universal-pgd`, each on another random half of the images.

    `progress` is called with the number of steps done, after each pass over a half.
    """
    steps = crafting_steps(len(images), 1, batch_size)
    attack = UniversalPGD(
        eps=eps,
        batch_size=batch_size,
        max_iterations=steps,
        validate_every=steps // _PASSES,
        patience=_PASSES,
    )
    found = []
    for place in range(count):
        own = rng.fork(place)
        half = images[own.uniform((len(images),))[0].argsort()[: math.ceil(len(images) / 2)]]
        data = CraftingData(
            validation=half[:_JUDGED],
            load_training=lambda half=half: half,
            progress=lambda done, limit, best, place=place: progress(place * steps + done),
        )
        found.append(attack.craft(model, data, rng=own).delta)
    return torch.stack(found).to(images.device)


def combined(real: Tensor, count: int, *, eps: float, rng: Draws) -> Tensor:
    """Return `count` random positive combinations of the perturbations `real`, inside the Linf ball of radius `eps`.

    Randomly drawn perturbations times factors in [0, 1] are added until the L2 norm reaches the mean of theirs, in at
    most max(8, len(real)) additions.
    """
    target = size(real, "l2").mean()
    found = torch.zeros_like(real[:1].expand(count, -1, -1, -1))
    for _ in range(max(8, len(real))):
        short = (size(found, "l2") < target).float()
        share = short * rng.uniform((count,))[0]
        found = project(found + per_row(share, found) * real[rng.integers(len(real), (count,))[0]], "linf", eps)
    return found
