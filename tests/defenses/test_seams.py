"""The seam is the best of all paths."""

from itertools import pairwise, product

import pytest
import torch
from foolbench.defenses._seams import beyond_seam


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_seam_is_the_best_of_all_paths(width):
    error = torch.rand(30, 4, 4, generator=torch.Generator().manual_seed(width))
    beyond = beyond_seam(error, torch.full((30,), width))
    paths = [path for path in product(range(width), repeat=4) if all(abs(a - b) <= 1 for a, b in pairwise(path))]
    for costs, new in zip(error, beyond, strict=True):
        found = (~new).sum(dim=1).tolist()  # old pixels lie left of the seam
        assert torch.equal(new, torch.arange(4) >= torch.tensor(found)[:, None])
        assert tuple(found) in paths
        best = min(float(sum(costs[row, column] for row, column in enumerate(path))) for path in paths)
        assert float(sum(costs[row, column] for row, column in enumerate(found))) == pytest.approx(best, abs=1e-6)


def test_a_patch_without_overlap_is_laid_whole():
    assert beyond_seam(torch.rand(2, 5, 5), torch.zeros(2, dtype=torch.int64)).all()
