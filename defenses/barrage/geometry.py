"""Transforms that move pixels, zoom and swirl, with exact gradients."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.seeding import Draws
from ...core.straight_through import without_rounding
from .luck import between

_LEAST, _MOST = 10 / 224, 50 / 224
"""Range of the margin cut off, as a share of the side: the paper cuts 10 to 50 pixels of an ImageNet image."""


def zoomed(x: Tensor, luck: Draws) -> Tensor:
    """Cut 4 to 22 percent off each side, and enlarge the rest to the original size."""
    height, width = x.shape[2:]
    cuts = [int(between(luck, _LEAST, _MOST) * side) for side in (height, height, width, width)]
    top, bottom, left, right = cuts
    part = x[:, :, top : height - bottom, left : width - right]
    return without_rounding(F.interpolate(part, (height, width), mode="bilinear", align_corners=False))


def swirled(x: Tensor, luck: Draws) -> Tensor:
    """Swirl around a random point by up to 2 radians, with a radius of 10 to 200 pixels per 224 of the longer side."""
    height, width = x.shape[2:]
    strength, radius = between(luck, 0.01, 2), between(luck, 10, 200) * max(height, width) / 224
    return swirl(x, between(luck, 0, height), between(luck, 0, width), strength, radius)


def swirl(x: Tensor, row: float, column: float, strength: float, radius: float) -> Tensor:
    """Rotate by `strength` radians around a point, and by less further away: hardly at all at `radius` pixels."""
    height, width = x.shape[2:]
    rows, columns = torch.arange(height, device=x.device) + 0.5, torch.arange(width, device=x.device) + 0.5
    down, across = torch.meshgrid(rows - row, columns - column, indexing="ij")
    distance = (down**2 + across**2).sqrt()
    angle = torch.atan2(down, across) + strength * torch.exp(-distance / (radius / 5 * math.log(2)))
    from_row, from_column = row + distance * angle.sin(), column + distance * angle.cos()
    grid = torch.stack([2 * from_column / width - 1, 2 * from_row / height - 1], dim=2)[None]
    return without_rounding(F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False))
