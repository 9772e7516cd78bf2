"""The neighbours that are found are scikit-learn's, exactly or nearly as near."""

import numpy as np
import pytest
import torch
from foolbench.core import Model
from foolbench.defenses import Quilting
from foolbench.defenses._patch_search import indexed, nearest
from foolbench.tasks import Recognition
from sklearn.neighbors import NearestNeighbors


def distances(queries: torch.Tensor, bank: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    return (bank[rows] - queries[:, None]).norm(dim=2).sort(dim=1).values.numpy()


@pytest.mark.parametrize(("members", "count"), [(1, 1), (7, 7), (40, 10), (3001, 1), (3001, 10)])
def test_neighbours_are_scikit_learns(members, count):
    # 20 values a patch: the shortlist is by all of them
    rng = torch.Generator().manual_seed(members)
    bank, queries = torch.rand(members, 20, generator=rng), torch.rand(150, 20, generator=rng)
    found = nearest(queries, indexed(bank), count)
    expected = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(bank.numpy()).kneighbors(queries.numpy())[0]
    np.testing.assert_allclose(distances(queries, bank, found), expected, rtol=0, atol=1e-5)
    assert (found.diff(dim=1) > 0).all(), "neither twice, nor in an order that rounding decides"


def test_colour_patches_are_searched_by_their_components(photos):
    # 75 values a patch: nearly all of the nearest ten, and as near
    unasked = Model(torch.nn.Flatten(), task=Recognition(classes=2))
    bank = Quilting(patches=20_000).fit(photos(40), model=unasked).learned["patches"].flatten(1)
    queries = photos(2, seed=1).unfold(2, 5, 5).unfold(3, 5, 5).movedim(1, 3).reshape(-1, 75)
    found = distances(queries, bank, nearest(queries, indexed(bank), 10))
    expected = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(bank.numpy()).kneighbors(queries.numpy())[0]
    assert (found >= expected - 1e-5).all()
    assert found.mean() <= 1.01 * expected.mean()
