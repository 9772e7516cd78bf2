"""DeepLab for 128 x 128 scenes (https://arxiv.org/abs/1606.00915): VGG-16 LargeFOV, and ResNet at several scales.

As in the original: dilated convolutions instead of the last strides, for an output stride of 8 pixels and a wide field
of view; for ResNet also the four parallel dilated classifiers of ASPP, and the maximum of the scores over three image
scales. Scaled down: the widths and, with the image, the dilations. Left out: the CRF.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import resnet, vgg
from .fcn import enlarged, head
from .trunk import Trunk

FEATURES_VGG = vgg.FEATURES_16
FEATURES_RESNET = resnet.FEATURES
"""Layers for GD-UAP. Its code uses the upsampled log-probabilities in place of VGG's relu7, and every ReLU of ResNet at
each scale in place of the first convolution and the blocks.
"""
SCALES = (1.0, 0.75, 0.5)
HOLES = (1, 2, 4, 6)


class LargeFOV(Trunk):
    """DeepLab-LargeFOV with VGG-16: maps images (N, 3, H, W) to logits (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        layers = vgg.convolutions(16)
        for name in ("pool4", "pool5"):
            layers[name] = nn.MaxPool2d(3, stride=1, padding=1)
        for name in ("conv5_1", "conv5_2", "conv5_3"):
            layers[name] = nn.Conv2d(vgg.WIDTHS[3 if name == "conv5_1" else 4], vgg.WIDTHS[4], 3, padding=2, dilation=2)
        super().__init__({**layers, **head(vgg.WIDTHS[-1], dilation=4)})
        self.score = nn.Conv2d(256, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        (deepest,) = self.trunk(x, self.order[-1])
        return enlarged(self.score(deepest), x)


class MultiScaleResNet(Trunk):
    """DeepLab with ResNet and ASPP: maps images (N, 3, H, W) at each of `SCALES` to logits (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        super().__init__(resnet.stages(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)))
        channels = resnet.EXPANSION * resnet.WIDTHS[-1]
        self.aspp = nn.ModuleList(nn.Conv2d(channels, classes, 3, padding=hole, dilation=hole) for hole in HOLES)

    def forward(self, x: Tensor) -> Tensor:
        whole = self._scores(x)
        others = [self._scores(F.interpolate(x, scale_factor=scale, mode="bilinear")) for scale in SCALES[1:]]
        largest = torch.stack([whole, *(enlarged(scores, whole) for scores in others)]).amax(dim=0)
        return enlarged(largest, x)

    def _scores(self, x: Tensor) -> Tensor:
        (deepest,) = self.trunk(x, self.order[-1])
        return torch.stack([classifier(deepest) for classifier in self.aspp]).sum(dim=0)


def deeplab_vgg(classes: int) -> nn.Module:
    return LargeFOV(classes)


def deeplab_resnet(classes: int) -> nn.Module:
    return MultiScaleResNet(classes)
