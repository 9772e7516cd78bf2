"""Quilting, seams and all, against scikit-learn's brute-force search alone: 100,000 patches of 5x5x3."""

import time

import pytest
import torch
from foolbench.datasets import Scenes
from foolbench.defenses import Quilting
from sklearn.neighbors import NearestNeighbors
from torch.nn import functional as F


@pytest.fixture(scope="module")
def fitted():
    images = Scenes().training(512, lambda images: None)[0].float() / 255
    return Quilting().fit(images, model=None)


@pytest.mark.parametrize(("count", "side"), [(8, 64), (1, 224)])
def test_quilting_against_scikit_learns_search(ratio, fitted, count, side):
    x = F.interpolate(Scenes().load(range(count))[0], (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    starts = fitted.configuration._starts(side)
    windows = x.unfold(2, 5, 1)[:, :, starts].unfold(3, 5, 1)[:, :, :, starts].movedim(1, 3).flatten(3).flatten(1, 2)
    bank = fitted.learned["patches"].flatten(1)
    search = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(bank.numpy())

    def theirs():
        return [search.kneighbors(image.numpy(), return_distance=False) for image in windows]

    nearest = torch.stack([torch.from_numpy(found) for found in theirs()])
    best = (bank[nearest[..., 0]] - windows).norm(dim=2).mean()
    single = Quilting(neighbours=1).with_learned(lambda part, place: fitted.learned)
    assert (single(x) - x).square().mean() <= best**2 / 75 * 4  # of the order of the nearest patches' own error
    start = time.perf_counter()
    fitted(x)
    print(f"{(time.perf_counter() - start) / count:.2f} s per image of {side} x {side} pixels")
    ratio(lambda: fitted(x), theirs, limit=1.0, rounds=3)
