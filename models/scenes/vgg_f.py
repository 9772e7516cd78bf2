"""VGG-F for 128 x 128 scenes: the fast network of Chatfield et al. (https://arxiv.org/abs/1405.3531).

As in the original: conv1 of 11 x 11 with stride 4, five ungrouped convolutions, local response normalisation before
each of the first two poolings, two hidden fully connected layers with dropout, no batch norm. Scaled down: the widths.
"""

from collections import OrderedDict

from torch import nn

from ..lrn import LocalResponseNorm

FEATURES = ("relu1", "relu2", "relu3", "relu4", "relu5")
"""Outputs of conv1..conv5 after ReLU, the layers that GD-UAP's code attacks."""


def vgg_f(classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 32, 11, stride=4, padding=5),
            relu1=nn.ReLU(),
            norm1=LocalResponseNorm(5),
            pool1=nn.MaxPool2d(3, stride=2, padding=1),
            conv2=nn.Conv2d(32, 64, 5, padding=2),
            relu2=nn.ReLU(),
            norm2=LocalResponseNorm(5),
            pool2=nn.MaxPool2d(3, stride=2, padding=1),
            conv3=nn.Conv2d(64, 96, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(96, 96, 3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(96, 96, 3, padding=1),
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
