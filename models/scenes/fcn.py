"""Fully convolutional networks for 128 x 128 scenes (https://arxiv.org/abs/1411.4038): FCN-AlexNet and FCN-8s-VGG16.

As in the original: the classifier's convolutions and poolings, its hidden fully connected layers as convolutions with
dropout, scores at every position upsampled to the image; in FCN-8s the scores of the last three poolings are added up
on the way. Scaled down: the widths. FCN-AlexNet has stride 16, without its last pooling, since at stride 32 scenes
would have 4 x 4 positions only. Upsampling is bilinear, which is the initial state of the original's learned layers.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from . import caffenet, vgg
from .trunk import Trunk

FEATURES_ALEX = (*caffenet.FEATURES, "relu6", "relu7")
FEATURES_8S = vgg.FEATURES_16
"""Layers for GD-UAP: all convolutions after ReLU, including the classifier's hidden layers. Its code uses the upsampled
scores in place of relu7 of FCN-AlexNet, and in place of both hidden layers of FCN-8s.
"""


def head(inputs: int, *, dilation: int = 1) -> "OrderedDict[str, nn.Module]":
    """Return the two hidden layers of the classifier as convolutions, by name."""
    return OrderedDict(
        fc6=nn.Conv2d(inputs, 256, 3, padding=dilation, dilation=dilation),
        relu6=nn.ReLU(),
        drop6=nn.Dropout(0.25),
        fc7=nn.Conv2d(256, 256, 1),
        relu7=nn.ReLU(),
        drop7=nn.Dropout(0.25),
    )


def enlarged(scores: Tensor, like: Tensor) -> Tensor:
    """Upsample scores bilinearly to the height and width of `like`."""
    return F.interpolate(scores, size=like.shape[2:], mode="bilinear", align_corners=False)


class FCNAlex(Trunk):
    """FCN-AlexNet: maps images (N, 3, H, W) to logits (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        trained = caffenet.caffenet(classes)._modules
        convolutions = {name: layer for name, layer in trained.items() if layer and name[-1] in "12345"}
        del convolutions["pool5"]
        super().__init__({**convolutions, **head(96)})
        self.score = nn.Conv2d(256, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        (deepest,) = self.trunk(x, self.order[-1])
        return enlarged(self.score(deepest), x)


class FCN8s(Trunk):
    """FCN-8s with VGG-16: maps images (N, 3, H, W) to logits (N, classes, H, W), from strides 8, 16 and 32."""

    def __init__(self, classes: int) -> None:
        super().__init__({**vgg.convolutions(16), **head(vgg.WIDTHS[-1])})
        self.score = nn.Conv2d(256, classes, 1)
        self.score_pool4 = nn.Conv2d(vgg.WIDTHS[3], classes, 1)
        self.score_pool3 = nn.Conv2d(vgg.WIDTHS[2], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        pool3, pool4, deepest = self.trunk(x, "pool3", "pool4", self.order[-1])
        at_16 = enlarged(self.score(deepest), pool4) + self.score_pool4(pool4)
        at_8 = enlarged(at_16, pool3) + self.score_pool3(pool3)
        return enlarged(at_8, x)


def fcn_alex(classes: int) -> nn.Module:
    return FCNAlex(classes)


def fcn_8s(classes: int) -> nn.Module:
    return FCN8s(classes)
