"""Surrogates for any transform whose result looks like the image; what the transform has learned is ignored."""

import torch
from torch import Tensor

from ..core.learned import Learned
from ..core.seeding import Draws

_SIGMA = 1.0  # pixels


def identity(x: Tensor, *learned: Learned, rng: Draws) -> Tensor:
    return x


def smooth(x: Tensor, *learned: Learned, rng: Draws) -> Tensor:
    """Blur with a Gaussian, renormalised at the border, so that images may be as small as one pixel."""
    down, across = (_weights(side, x) for side in x.shape[2:])
    return down @ x @ across.T


def _weights(side: int, like: Tensor) -> Tensor:
    pixels = torch.arange(side, dtype=like.dtype, device=like.device)
    return torch.softmax(-0.5 * ((pixels - pixels[:, None]) / _SIGMA) ** 2, dim=1)
