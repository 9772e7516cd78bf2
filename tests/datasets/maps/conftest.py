"""Networks for maps."""

import pytest
import torch
from foolbench.core import Model
from foolbench.core.preprocess import Preprocess
from foolbench.tasks import Depth, Segmentation
from torch import nn


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
