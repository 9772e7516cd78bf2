"""Crops of photographs: of the right size, each its own, those of one photograph a cluster."""

from collections import Counter

import torch
from foolbench.datasets.pictures.photographs import PhotographCrops
from foolbench.evaluation.opening.data import open_dataset


def test_crops_are_different_and_clustered(network):
    found = open_dataset("photographs")
    x, y = found.load(range(0, len(found), 3))
    assert y is None
    assert x.shape[1:] == (3, 224, 224)
    clusters = found.clusters(range(len(found)))
    assert set(Counter(clusters).values()) == {12}
    assert found.clusters([30, 0]) == [clusters[30], clusters[0]]
    distances = torch.cdist(small := torch.nn.functional.avg_pool2d(x, 16).flatten(1), small).fill_diagonal_(9)
    assert float(distances.min()) > 0.1
    assert found.for_model(network(size=32)).load([0])[0].shape == (1, 3, 32, 32)


def test_photographs_are_held_out_whole():
    every, some = PhotographCrops(), PhotographCrops(train_share=0.25)
    evaluated = set(some.clusters(range(len(some))))
    x, _ = every.load([place for place in range(len(every)) if place // 12 not in evaluated])
    training = some.training(len(every))[0].float() / 255
    assert len(training) == len(x) == len(every) - len(some) > 0
    assert {image.numpy().tobytes() for image in training} == {image.numpy().tobytes() for image in x}
