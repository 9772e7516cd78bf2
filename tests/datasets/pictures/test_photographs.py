"""Crops of photographs: of the right size, each its own, those of one photograph a cluster."""

from collections import Counter

import torch
from foolbench.evaluation.recipe.opening import open_dataset


def test_crops_are_different_and_clustered(network):
    found = open_dataset("photographs")
    x, y = found.load(range(0, len(found), 3))
    assert y is None
    assert x.shape[1:] == (3, 224, 224)
    assert set(Counter(found.clusters).values()) == {8}
    assert len(found.clusters) == len(found)
    distances = torch.cdist(small := torch.nn.functional.avg_pool2d(x, 16).flatten(1), small).fill_diagonal_(9)
    assert float(distances.min()) > 0.1
    assert found.for_model(network(size=32)).load([0])[0].shape == (1, 3, 32, 32)
