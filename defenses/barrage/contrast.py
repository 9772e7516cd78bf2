"""Transforms of contrast: histogram equalization and stretching."""

import numpy as np
import torch
from torch import Tensor

from ...core.seeding import Draws
from ...core.straight_through import clamped, with_gradient_of
from .luck import between


def equalized(x: Tensor, luck: Draws) -> Tensor:
    """Equalize every channel's histogram, of 40 to 256 bins; the gradient is the identity."""
    bins = int(between(luck, 40, 257))
    planes = [_flat(plane, bins) for plane in x.detach()[0].cpu().numpy()]
    return with_gradient_of(x, torch.from_numpy(np.stack(planes)[None]).to(x))


def stretched(x: Tensor, luck: Draws) -> Tensor:
    """Stretch each channel so that its darkest 1 to 4 percent become 0 and its brightest 1 to 4 percent become 1."""
    ends = torch.tensor([between(luck, 0.01, 0.04), between(luck, 0.96, 0.99)], device=x.device)
    low, high = x.detach().flatten(2).quantile(ends, dim=2)[..., None, None]
    return torch.where(high > low, clamped((x - low) / (high - low).clamp_min(1e-6)), x)


def _flat(plane: np.ndarray, bins: int) -> np.ndarray:
    counts, edges = np.histogram(plane, bins=bins, range=(0, 1))
    if counts.max() == plane.size:
        return plane  # all values are in one bin
    return np.interp(plane, (edges[:-1] + edges[1:]) / 2, counts.cumsum() / plane.size).astype(np.float32)
