"""Convolutional network for 8 x 8 grey images: three convolutions and a linear layer, no batch norm."""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

FEATURES = ("relu1", "relu2", "relu3")


def convnet(classes: int = 10, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1),
            relu1=activation(),
            conv2=nn.Conv2d(16, 32, 3, padding=1),
            relu2=activation(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(32, 32, 3, padding=1),
            relu3=activation(),
            pool3=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(32 * 2 * 2, classes),
        )
    )
