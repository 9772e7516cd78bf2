"""CaffeNet for 128 x 128 scenes: AlexNet with pooling before normalisation (https://arxiv.org/abs/1408.5093).

As in the original: conv1 of 11 x 11 with stride 4, five convolutions of which 2, 4 and 5 are grouped, overlapping 3 x 3
pooling, local response normalisation, two hidden fully connected layers with dropout, no batch norm. Scaled down: the
widths.
"""

from collections import OrderedDict

from torch import nn

from ..lrn import LocalResponseNorm

FEATURES = ("relu1", "relu2", "relu3", "relu4", "relu5")
"""Outputs of conv1..conv5 after ReLU, the layers that GD-UAP's code attacks."""


def caffenet(classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 32, 11, stride=4, padding=5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2, padding=1),
            norm1=LocalResponseNorm(5),
            conv2=nn.Conv2d(32, 96, 5, padding=2, groups=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2, padding=1),
            norm2=LocalResponseNorm(5),
            conv3=nn.Conv2d(96, 144, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(144, 144, 3, padding=1, groups=2),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(144, 96, 3, padding=1, groups=2),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2, padding=1),
            flatten=nn.Flatten(),
            fc6=nn.Linear(96 * 4 * 4, 256),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(0.25),
            fc7=nn.Linear(256, 256),
            relu7=nn.ReLU(),
            drop7=nn.Dropout(0.25),
            fc8=nn.Linear(256, classes),
        )
    )
