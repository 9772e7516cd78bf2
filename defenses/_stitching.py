"""Image quilting: overlapping patches in raster order, cut along minimum-error seams, independent ones in parallel."""

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ._seams import beyond_seam


def stitched(patches: Tensor, rows: Sequence[int], columns: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Join `patches` (N, C, len(rows), len(columns), p, p) into images (N, C, *size).

    `rows` and `columns` are the patches' first pixels. A patch depends on those before it in raster order that overlap
    it, up to `reach` columns further right in the row above. Patches that are independent of each other form a wave and
    are laid at once.
    """
    side, device = patches.shape[-1], patches.device
    pixels = torch.arange(side, device=device)
    tops, lefts = (torch.tensor(starts, device=device) for starts in (rows, columns))
    above, before = _overlaps(tops, side), _overlaps(lefts, side)
    reach = max(bisect_left(columns, start + side) - place for place, start in enumerate(columns)) - 1
    canvas = patches.new_zeros(*patches.shape[:2], *size)
    for wave in range((reach + 1) * (len(rows) - 1) + len(columns)):
        first = max(0, -(-(wave - len(columns) + 1) // (reach + 1)))
        row = torch.arange(first, min(len(rows) - 1, wave // (reach + 1)) + 1, device=device)
        column = wave - (reach + 1) * row
        where = (tops[row, None, None] + pixels[:, None], lefts[column, None, None] + pixels)
        old, new = canvas[:, :, *where], patches[:, :, row, column]
        error = (old - new).square().sum(dim=1)
        vertical, horizontal = beyond_seam(
            torch.stack([error, error.mT]), torch.stack([before[column], above[row]])[:, None]
        )
        canvas[:, :, *where] = torch.where((vertical & horizontal.mT)[:, None], new, old)
    return canvas


def averaged(patches: Tensor, rows: Sequence[int], columns: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Join patches as `stitched` does, but without seams: average them where they overlap."""
    pixels = torch.arange(patches.shape[-1], device=patches.device)
    down, across = (torch.tensor(starts, device=patches.device)[:, None] + pixels for starts in (rows, columns))
    places = (down[:, None, :, None] * size[1] + across[None, :, None, :]).flatten()
    values = patches.flatten(2)
    total = values.new_zeros(*values.shape[:2], size[0] * size[1]).index_add(2, places, values)
    return (total / places.bincount(minlength=total.shape[2])).unflatten(2, size)


def _overlaps(starts: Tensor, side: int) -> Tensor:
    """Return by how many pixels each window overlaps the one before it."""
    return F.pad(starts[:-1] + side - starts[1:], (1, 0)).clamp(min=0)
