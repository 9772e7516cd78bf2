"""VGG-16 and VGG-19 for 128 x 128 scenes (https://arxiv.org/abs/1409.1556).

As in the original: 13 or 16 convolutions of 3 x 3 in five stages, each closed by 2 x 2 pooling, two hidden fully
connected layers with dropout, no batch norm. Scaled down: the widths.
"""

from collections import OrderedDict

from torch import nn

WIDTHS = (8, 16, 48, 80, 80)
DEPTHS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def _convolutions(depth: int) -> tuple[str, ...]:
    return tuple(f"relu{stage}_{k}" for stage, n in enumerate(DEPTHS[depth], 1) for k in range(1, n + 1))


def _features(depth: int) -> tuple[str, ...]:
    return (*_convolutions(depth), "relu6", "relu7")


CONVOLUTIONS_16 = _convolutions(16)
FEATURES_16, FEATURES_19 = _features(16), _features(19)
"""Outputs of all convolutions, and of fc6 and fc7, after ReLU. GD-UAP's paper names the convolutions only; its code
attacks the fully connected layers as well (for VGG-19 twice, and the logits, which we consider a mistake)."""


def convolutions(depth: int) -> "OrderedDict[str, nn.Module]":
    """Return all layers up to the last pooling, by name."""
    layers, channels = OrderedDict[str, nn.Module](), 3
    for stage, (width, count) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), 1):
        for k in range(1, count + 1):
            layers[f"conv{stage}_{k}"] = nn.Conv2d(channels, width, 3, padding=1)
            layers[f"relu{stage}_{k}"] = nn.ReLU()
            channels = width
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    return layers


def _vgg(depth: int, classes: int) -> nn.Sequential:
    net = nn.Sequential(convolutions(depth))
    net.add_module("flatten", nn.Flatten())
    for k, (inputs, outputs) in enumerate([(WIDTHS[-1] * 4 * 4, 256), (256, 256)], 6):
        net.add_module(f"fc{k}", nn.Linear(inputs, outputs))
        net.add_module(f"relu{k}", nn.ReLU())
        net.add_module(f"drop{k}", nn.Dropout(0.25))
    net.add_module("fc8", nn.Linear(256, classes))
    return net


def vgg16(classes: int) -> nn.Sequential:
    return _vgg(16, classes)


def vgg19(classes: int) -> nn.Sequential:
    return _vgg(19, classes)
