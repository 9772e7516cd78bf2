"""Transforms that add noise of several kinds."""

import torch
from torch import Tensor

from ...core.seeding import Draws
from .luck import one_of

_DEVIATION, _SHARE, _PHOTONS = 0.1, 0.05, 255.0


def grainy(x: Tensor, luck: Draws) -> Tensor:
    """Add Gaussian, Poisson or speckle noise, or salt, pepper or both to a twentieth of the values."""
    kind = one_of(luck, ("gaussian", "poisson", "speckle", "salt", "pepper", "salt and pepper"))
    normal, chance, signs = luck.normal(x.shape[1:]), luck.uniform(x.shape[1:]), luck.signs(x.shape[1:])
    if kind == "gaussian":
        return (x + _DEVIATION * normal).clamp(0, 1)
    if kind == "poisson":  # the normal approximation, which has a gradient
        return (x + (x.detach() / _PHOTONS).sqrt() * normal).clamp(0, 1)
    if kind == "speckle":
        return (x + _DEVIATION * x * normal).clamp(0, 1)
    ends = {"salt": torch.ones_like(x), "pepper": torch.zeros_like(x), "salt and pepper": (signs + 1) / 2}
    return torch.where(chance < _SHARE, ends[kind], x)
