"""Patches laid at once are as if laid one after the other, in the raster order of Efros and Freeman."""

from itertools import product

import numpy as np
import pytest
import torch
from foolbench.defenses import Quilting
from foolbench.defenses._stitching import averaged, stitched


def one_by_one(chosen: torch.Tensor, rows: list[int], columns: list[int], canvas: torch.Tensor) -> torch.Tensor:
    """Raster order, one patch after the other, the seam of every patch by trying all paths."""
    size = chosen.shape[-1]

    def seam(error: torch.Tensor, width: int) -> torch.Tensor:
        paths = [p for p in product(range(max(1, width)), repeat=size) if np.abs(np.diff(p)).max(initial=0) <= 1]
        best = min(paths, key=lambda path: float(sum(error[row, column] for row, column in enumerate(path))))
        return torch.arange(size) >= torch.tensor(best)[:, None]

    for image in range(len(chosen)):
        for i, y in enumerate(rows):
            for j, x in enumerate(columns):
                old, new = canvas[image, :, y : y + size, x : x + size], chosen[image, :, i, j]
                error = (old - new).double().square().sum(dim=0)
                left = columns[j - 1] + size - x if j else 0
                top = rows[i - 1] + size - y if i else 0
                take = seam(error, left) & seam(error.T, top).T
                canvas[image, :, y : y + size, x : x + size] = torch.where(take, new, old)
    return canvas


@pytest.mark.parametrize(
    ("size", "overlap", "height", "width"), [(3, 1, 11, 10), (3, 2, 8, 9), (4, 1, 12, 13), (4, 2, 9, 11), (4, 0, 9, 9)]
)
def test_patches_laid_at_once_are_as_if_one_after_the_other(size, overlap, height, width):
    rows, columns = (Quilting(size=size, overlap=overlap)._starts(side) for side in (height, width))
    chosen = torch.rand(2, 3, len(rows), len(columns), size, size, generator=torch.Generator().manual_seed(0))
    expected = one_by_one(chosen, rows, columns, torch.zeros(2, 3, height, width))
    assert torch.equal(stitched(chosen, rows, columns, (height, width)), expected)


@pytest.mark.parametrize(("size", "overlap", "height", "width"), [(3, 1, 11, 10), (4, 2, 9, 11), (4, 0, 9, 9)])
def test_without_seams_patches_are_averaged_where_they_overlap(size, overlap, height, width):
    rows, columns = (Quilting(size=size, overlap=overlap)._starts(side) for side in (height, width))
    chosen = torch.rand(2, 3, len(rows), len(columns), size, size, generator=torch.Generator().manual_seed(0))
    total, count = torch.zeros(2, 3, height, width), torch.zeros(height, width)
    for (i, y), (j, x) in product(enumerate(rows), enumerate(columns)):
        total[:, :, y : y + size, x : x + size] += chosen[:, :, i, j]
        count[y : y + size, x : x + size] += 1
    torch.testing.assert_close(averaged(chosen, rows, columns, (height, width)), total / count)
