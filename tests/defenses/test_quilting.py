"""Quilting: exact neighbours, seams as good as the best of all seams, the raster order of Efros and Freeman."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, Draws, InputError, Learned
from foolbench.core.defense import FittedTransform, LearningData
from foolbench.defenses import Quilting
from foolbench.defenses.quilting import _beyond_seam, _nearest, _quilt
from sklearn.neighbors import NearestNeighbors


def fitted(defense: Quilting, images: torch.Tensor, seed: int = 0) -> FittedTransform:
    return defense.fit(images, model=None, rng=seed)


def distances(queries: torch.Tensor, bank: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    return (bank[rows] - queries[:, None]).norm(dim=2).sort(dim=1).values.numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("overlap", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(32, 40), (5, 5), (6, 9), (17, 23), (5, 12)])
def test_an_image_comes_back_from_its_own_patches(photos, channels, overlap, height, width):
    x = photos(2, channels, height, width)
    assert torch.equal(fitted(Quilting(neighbours=1, overlap=overlap), x)(x), x)


def test_dark_and_flat_images_come_back_too():
    x = torch.randint(0, 3, (2, 3, 24, 24), generator=torch.Generator().manual_seed(0)) / 255
    assert torch.equal(fitted(Quilting(neighbours=1), x)(x), x)


@pytest.mark.parametrize(("members", "count"), [(1, 1), (7, 7), (40, 10), (3001, 1), (3001, 10)])
def test_neighbours_are_scikit_learns(members, count):
    # 20 values a patch: the shortlist is by all of them
    rng = torch.Generator().manual_seed(members)
    bank, queries = torch.rand(members, 20, generator=rng), torch.rand(150, 20, generator=rng)
    found = _nearest(queries, bank, count)
    expected = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(bank.numpy()).kneighbors(queries.numpy())[0]
    np.testing.assert_allclose(distances(queries, bank, found), expected, rtol=0, atol=1e-5)
    assert all(len(set(row)) == count for row in found.tolist())


def test_colour_patches_are_searched_by_their_components(photos):
    # 75 values a patch: nearly all of the nearest ten, and as near
    bank = fitted(Quilting(patches=20_000), photos(40)).learned["patches"].flatten(1)
    queries = photos(2, seed=1).unfold(2, 5, 5).unfold(3, 5, 5).movedim(1, 3).reshape(-1, 75)
    found = distances(queries, bank, _nearest(queries, bank, 10))
    expected = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(bank.numpy()).kneighbors(queries.numpy())[0]
    assert (found >= expected - 1e-5).all()
    assert found.mean() <= 1.01 * expected.mean()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_seam_is_the_best_of_all_paths(width):
    error = torch.rand(30, 4, 4, generator=torch.Generator().manual_seed(width))
    beyond = _beyond_seam(error, torch.full((30,), width))
    paths = [path for path in product(range(width), repeat=4) if all(abs(a - b) <= 1 for a, b in pairwise(path))]
    for costs, new in zip(error, beyond, strict=True):
        found = (~new).sum(dim=1).tolist()  # old pixels lie left of the seam
        assert torch.equal(new, torch.arange(4) >= torch.tensor(found)[:, None])
        assert tuple(found) in paths
        best = min(float(sum(costs[row, column] for row, column in enumerate(path))) for path in paths)
        assert float(sum(costs[row, column] for row, column in enumerate(found))) == pytest.approx(best, abs=1e-6)


def test_a_patch_without_overlap_is_laid_whole():
    assert _beyond_seam(torch.rand(2, 5, 5), torch.zeros(2, dtype=torch.int64)).all()


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
    defense, canvas = Quilting(size=size, overlap=overlap), torch.zeros(2, 3, height, width)
    rows, columns = (defense._starts(side, canvas.device) for side in (height, width))
    chosen = torch.rand(2, 3, len(rows), len(columns), size, size, generator=torch.Generator().manual_seed(0))
    expected = one_by_one(chosen, rows.tolist(), columns.tolist(), canvas.clone())
    assert torch.equal(_quilt(chosen, rows, columns, canvas), expected)


@pytest.mark.parametrize(
    ("side", "starts"), [(5, [0]), (6, [0, 1]), (8, [0, 3]), (9, [0, 3, 4]), (224, [*range(0, 219, 3), 219])]
)
def test_windows_reach_the_border(side, starts):
    assert Quilting()._starts(side, torch.device("cpu")).tolist() == starts


def test_every_pixel_comes_from_the_bank(photos):
    defense = fitted(Quilting(), photos(3, seed=5))
    values = defense.learned["patches"].unique()
    assert torch.isin(defense(photos(2, 3, 31, 38)), values).all()


def test_learns_distinct_windows_of_the_training_images(photos):
    images = photos(3, 1, 20, 24)
    assert fitted(Quilting(), images).learned["patches"].shape == (3 * 16 * 20, 1, 5, 5)
    bank = fitted(Quilting(patches=500), images).learned["patches"]
    everything = images.unfold(2, 5, 1).unfold(3, 5, 1).reshape(-1, 25)
    matches = (torch.cdist(bank.flatten(1), everything, compute_mode="donot_use_mm_for_euclid_dist") == 0).nonzero()
    assert bank.shape == (500, 1, 5, 5)
    assert matches[:, 0].unique().numel() == matches[:, 1].unique().numel() == 500
    assert torch.equal(bank, fitted(Quilting(patches=500), images).learned["patches"])
    assert not torch.equal(bank, fitted(Quilting(patches=500), images, seed=1).learned["patches"])


def test_one_of_the_nearest_at_random(photos):
    x = photos(4, seed=3)
    single, several = (fitted(Quilting(neighbours=k), photos(4)) for k in (1, 10))
    assert torch.equal(single(x, rng=0), single(x, rng=1))
    assert torch.equal(several(x, rng=1), several(x, rng=1))
    assert not torch.equal(several(x, rng=0), several(x, rng=1))
    assert (single(x) - x).abs().mean() < (several(x) - x).abs().mean() < 0.15


def test_an_image_depends_on_its_own_stream_only(photos):
    x, defense, rng = photos(5, 3, 40, 33), fitted(Quilting(), photos(4, seed=2)), Draws.of(3, samples=range(5))
    together = defense(x, rng=rng[:])
    assert torch.equal(defense(x.flip(0), rng=rng[torch.arange(4, -1, -1)]), together.flip(0))
    for row in range(5):
        assert torch.equal(defense(x[row : row + 1], rng=rng[row : row + 1])[0], together[row])
    stored = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(defense(stored, rng=rng[:]), together)


def test_a_constant_image_stays_where_the_bank_has_its_patch():
    defense = fitted(Quilting(neighbours=1), torch.stack([torch.full((3, 8, 8), value / 4) for value in range(5)]))
    x = torch.full((1, 3, 13, 9), 0.5)
    assert torch.equal(defense(x), x)


def test_images_that_do_not_fit(photos):
    defense = fitted(Quilting(), photos(2))
    with pytest.raises(InputError, match=r"at least 5 pixels a side, got \(4, 9\)"):
        defense(photos(1, 3, 9, 9)[..., :4, :])
    with pytest.raises(InputError, match="images of 3 channels"):
        defense(photos(1, 1))
    with pytest.raises(InputError, match="at least 50 pixels"):
        Quilting(size=50).learn(LearningData(images=photos(1), model=None), rng=Draws.of(0, samples=[0]))


def test_takes_a_bank_from_elsewhere(photos):
    defense = FittedTransform(configuration=Quilting(size=3), learned=Learned({"patches": torch.rand(50, 3, 3, 3)}))
    assert defense(photos(1)).shape == (1, 3, 32, 40)


@pytest.mark.parametrize(
    ("key", "value"), [("size", 0), ("overlap", -1), ("overlap", 5), ("neighbours", 0), ("patches", 0)]
)
def test_bad_parameters(key, value):
    with pytest.raises(ConfigError, match=f"Expected {key}"):
        Quilting(**{key: value})
