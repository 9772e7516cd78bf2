"""Residual network for 8 x 8 grey images: basic blocks with batch norm (https://arxiv.org/abs/1512.03385)."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

FEATURES = ("relu1", "block1", "block2")

Activation = Callable[[], nn.Module]


class Block(nn.Module):
    """Residual block over (N, inputs, H, W): two 3 x 3 convolutions, added to a 1 x 1 shortcut, then the activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            activation(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.residual(x) + self.shortcut(x))


def resnet(classes: int = 10, activation: Activation = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1, bias=False),
            norm1=nn.BatchNorm2d(16),
            relu1=activation(),
            block1=Block(16, 32, 1, activation),
            block2=Block(32, 64, 2, activation),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(64, classes),
        )
    )
