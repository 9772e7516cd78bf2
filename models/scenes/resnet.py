"""Bottleneck ResNet for 128 x 128 scenes (https://arxiv.org/abs/1512.03385).

As in the original: strided stem with batch norm and max pooling, four stages of bottleneck blocks with batch norm,
projection shortcuts where the shape changes, global average pooling. Scaled down: ResNet-152's depth and widths.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

WIDTHS = (16, 32, 48, 64)
BLOCKS = (2, 3, 3, 2)
EXPANSION = 4

FEATURES = ("conv1", *(f"stage{s}.{k}" for s, n in enumerate(BLOCKS, 1) for k in range(n)))
"""Outputs of the stem's convolution before batch norm, and of every block after ReLU, as in GD-UAP's code."""


class Bottleneck(nn.Module):
    """Bottleneck block over (N, inputs, H, W): 1x1 - 3x3 - 1x1 with batch norm, added to the shortcut, then ReLU."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


def stages(
    strides: Sequence[int] = (1, 2, 2, 2), dilations: Sequence[int] = (1, 1, 1, 1)
) -> "OrderedDict[str, nn.Module]":
    """Return all layers up to the last block, by name, with the stride and dilation of each stage."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False),
        norm1=nn.BatchNorm2d(32),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, stride=2, padding=1),
    )
    channels = 32
    for stage, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True), 1):
        modules = []
        for stride in [strides[stage - 1]] + [1] * (blocks - 1):
            modules.append(Bottleneck(channels, width, stride, dilations[stage - 1]))
            channels = EXPANSION * width
        layers[f"stage{stage}"] = nn.Sequential(*modules)
    return layers


def resnet(classes: int) -> nn.Sequential:
    layers = stages()
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(EXPANSION * WIDTHS[-1], classes))
    return nn.Sequential(layers)
