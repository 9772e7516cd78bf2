"""GoogLeNet for 128 x 128 scenes (https://arxiv.org/abs/1409.4842).

As in the original: the stem with its 1 x 1 reduction, nine inception blocks in three stages, global average pooling,
dropout before the classifier, no batch norm. Scaled down: the widths. Left out: the auxiliary classifiers, which only
serve training.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

BLOCKS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
FEATURES = ("relu1", "relu2_reduce", "relu2", *(f"inception{block}" for block in BLOCKS))
"""Outputs of conv1, the reduction, conv2 and the nine blocks: the twelve layers that GD-UAP attacks."""


class Inception(nn.Module):
    """Inception block over (N, inputs, H, W): paths 1x1, 1x1-3x3, 1x1-5x5 and pool-1x1, with ReLU, concatenated."""

    def __init__(self, inputs: int, one: int, three: int, five: int, pool: int) -> None:
        super().__init__()
        self.one = _conv(inputs, one, 1)
        self.three = nn.Sequential(_conv(inputs, three // 2, 1), _conv(three // 2, three, 3))
        self.five = nn.Sequential(_conv(inputs, five // 2, 1), _conv(five // 2, five, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _conv(inputs, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU())


def googlenet(classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 24, 7, stride=2, padding=3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2, padding=1),
            conv2_reduce=nn.Conv2d(24, 24, 1),
            relu2_reduce=nn.ReLU(),
            conv2=nn.Conv2d(24, 48, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2, padding=1),
            inception3a=Inception(48, 24, 48, 12, 12),
            inception3b=Inception(96, 32, 64, 16, 16),
            pool3=nn.MaxPool2d(3, stride=2, padding=1),
            inception4a=Inception(128, 48, 64, 16, 16),
            inception4b=Inception(144, 48, 64, 16, 16),
            inception4c=Inception(144, 48, 64, 16, 16),
            inception4d=Inception(144, 48, 72, 16, 16),
            inception4e=Inception(152, 64, 80, 24, 24),
            pool4=nn.MaxPool2d(3, stride=2, padding=1),
            inception5a=Inception(192, 64, 80, 24, 24),
            inception5b=Inception(192, 96, 96, 32, 32),
            pool5=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            drop=nn.Dropout(0.2),
            fc=nn.Linear(256, classes),
        )
    )
