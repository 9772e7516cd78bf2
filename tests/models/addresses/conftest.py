"""A small network of a user's own, in a file of their own."""

import pytest

CODE = '''
import torch
from foolbench.core import Model
from foolbench.tasks import Recognition
from torch import nn


class Net(nn.Module):
    """A small one, for images of any size."""

    def __init__(self, width: int = 4, classes: int = 3):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU()
        self.out = nn.Linear(width, classes)

    def forward(self, x):
        return self.out(self.relu(self.norm(self.conv(x))).mean((2, 3)))


def anything(**options):
    return Net(**options)


def several():
    class Several(Net):
        def forward(self, x):
            return {"logits": super().forward(x), "features": x}

    return Several()


def depth():
    return nn.Conv2d(3, 1, 1)


def segmentation():
    return nn.Conv2d(3, 5, 1)


def coarse():
    return nn.Conv2d(3, 5, 1, stride=4)


def fixed():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 20, 5))


def grey():
    return nn.Sequential(nn.Flatten(), nn.Linear(8 * 8, 5))


def loads(weights="imagenet"):
    net = Net()
    net.given = weights
    return net


class Backwards(nn.Module):
    """Its decoder is registered before its encoder."""

    def __init__(self, channels=3):
        super().__init__()
        self.decoder, self.encoder = nn.Conv2d(16, 4, 1), nn.Conv2d(channels, 16, 3, padding=1)

    def forward(self, x):
        return self.decoder(self.encoder(x).relu())


def scripted():
    return torch.jit.trace(Net().eval(), torch.rand(1, 3, 32, 32))


def broken():
    raise RuntimeError("no such file")


def text():
    return "a network"


instance = Net(width=2)
model = Model(Net(), task=Recognition(classes=3), name="mine")
number = 3
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path
