"""Fully convolutional networks for 128 x 128 scenes (https://arxiv.org/abs/1411.4038): FCN-AlexNet and FCN-8s-VGG16.

Kept from the original: the classifier's convolutions and poolings, its first fully connected layers as convolutions
with dropout, scores of every place enlarged to the image; in FCN-8s those of the last three poolings added up on the
way. Scaled: the widths. FCN-AlexNet is taken at stride 16, without its last pooling, for at stride 32 the scenes would
have 4 x 4 places. Enlarging is bilinear, which the original's learned layers begin as.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from . import caffenet, vgg
from .trunk import Trunk

FEATURES_ALEX = (*caffenet.FEATURES, "relu6", "relu7")
FEATURES_8S = vgg.FEATURES_16
"""What GD-UAP disturbs: all convolutions after ReLU, hidden layers of the classifier among them. Its code has the
enlarged scores in the place of relu7 of FCN-AlexNet, and in that of both hidden layers of FCN-8s.
"""


def head(inputs: int, *, dilation: int = 1) -> "OrderedDict[str, nn.Module]":
    """The two hidden layers of the classifier as convolutions."""
    return OrderedDict(
        fc6=nn.Conv2d(inputs, 256, 3, padding=dilation, dilation=dilation),
        relu6=nn.ReLU(),
        drop6=nn.Dropout(0.25),
        fc7=nn.Conv2d(256, 256, 1),
        relu7=nn.ReLU(),
        drop7=nn.Dropout(0.25),
    )


def enlarged(scores: Tensor, like: Tensor) -> Tensor:
    """Bilinearly, to the size of `like`."""
    return F.interpolate(scores, size=like.shape[2:], mode="bilinear", align_corners=False)


class FCNAlex(Trunk):
    """Scores (N, classes, H, W) of images (N, 3, H, W)."""

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
    """The same of VGG-16, from places at strides 8, 16 and 32."""

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
