"""Batched bilinear resampling, with coordinates of its own for every image."""

import torch
from torch import Tensor
from torch.nn import functional as F


def read(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate `x` (N, C, H, W) on V grids per image, `rows` (N, V, h) by `columns` (N, V, w).

    Returns (N, V, C, h, w). Coordinates count pixel centres from 0 to H - 1 (W - 1), exact to 1e-5 pixels.
    """
    views, height, width = rows.shape[1], rows.shape[2], columns.shape[2]
    down = _normalized(rows, x.shape[2])[..., None].expand(-1, -1, -1, width)
    right = _normalized(columns, x.shape[3])[:, :, None].expand(-1, -1, height, -1)
    grid = torch.stack([right, down], dim=-1).flatten(1, 2).to(x.dtype)  # views stacked vertically
    found = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return found.unflatten(2, (views, height)).transpose(1, 2)


def _normalized(places: Tensor, side: int) -> Tensor:
    """Convert pixel coordinates to those of grid_sample: -1 and 1 are the outer edges of the image."""
    return (2 * places + 1) / side - 1
