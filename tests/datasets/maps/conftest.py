"""Networks for maps, and trees in the real formats."""

import numpy as np
import pytest
import torch
from foolbench.core import Model
from foolbench.core.preprocess import Preprocess
from foolbench.tasks import Depth, Segmentation
from PIL import Image
from torch import nn


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def picture(seed, width=40, height=30):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture(name="picture")
def picture_fixture():
    return picture


@pytest.fixture
def network():
    """`network(task, (height, width))`: a convolution of one pixel, for pictures resized to that."""

    def make(task, size, **preprocess):
        torch.manual_seed(0)
        channels = task.classes if isinstance(task, Segmentation) else 1
        layers = [nn.Conv2d(3, channels, 1)] + ([nn.Softplus()] if isinstance(task, Depth) else [])
        fitted = Preprocess(size=size, **(preprocess or {"crop": "squash"}))
        return Model(nn.Sequential(*layers), task=task, shape=(3, *size), name="pixelwise", preprocess=fitted)

    return make
