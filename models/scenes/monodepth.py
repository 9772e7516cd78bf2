"""Encoder-decoders for the depth of 128 x 128 scenes, in the family of Monodepth (https://arxiv.org/abs/1609.03677).

As in the original: a VGG or ResNet encoder; a decoder with ELU that repeatedly doubles the map, concatenates the
encoder's map of that size and convolves; a sigmoid output for inverse depth. Scaled down: the widths. Different: the
encoder is that of the classifier, with ReLU, and training uses true depth, since there is no second camera.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import resnet, vgg
from .trunk import Trunk

NEAREST, FARTHEST = 0.5, 12.0
"""Range of the predicted depths, in scene units."""
STAGES = 5


def _decoder_features(places: int) -> tuple[str, ...]:
    return tuple(f"{kind}{place}.1" for place in range(places) for kind in ("up", "join"))


VGG_TAPS = tuple(f"relu{stage}_{count}" for stage, count in enumerate(vgg.DEPTHS[16], 1))
RESNET_TAPS = ("relu1", "stage1", "stage2", "stage3", "stage4")
FEATURES_VGG = (*vgg.CONVOLUTIONS_16, *_decoder_features(STAGES))
FEATURES_RESNET = (*resnet.FEATURES, *_decoder_features(STAGES))
"""Layers for GD-UAP: the encoder's convolutions after ReLU, or its blocks, and every nonlinearity of the decoder, but
not the output. Its code uses every nonlinearity of ResNet's encoder, too.
"""


class Monodepth(Trunk):
    """Encoder-decoder that maps images (N, 3, H, W) to depths (N, 1, H, W).

    The decoder takes the outputs of the encoder's layers `taps`. `channels` are those of the taps, from the largest map
    on; `widths` are those of the decoder, from the smallest map on. If the encoder's largest map has half the size of
    the image, the decoder has one more doubling than maps to join.
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], taps: Sequence[str], channels: Sequence[int], widths: Sequence[int]
    ) -> None:
        super().__init__(layers)
        self.taps, self.places = tuple(taps), len(widths)
        inputs = channels[-1]
        for place, (width, skip) in enumerate(zip_longest(widths, reversed(channels[:-1]), fillvalue=0)):
            self.add_module(f"up{place}", _convolution(inputs, width))
            self.add_module(f"join{place}", _convolution(width + skip, width))
            inputs = width
        self.disparity = nn.Conv2d(inputs, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        *skips, found = self.trunk(x, *self.taps)
        for place in range(self.places):
            size = skips[-1].shape[2:] if skips else x.shape[2:]
            found = self.get_submodule(f"up{place}")(F.interpolate(found, size=size, mode="nearest"))
            joined = torch.cat([found, skips.pop()], dim=1) if skips else found
            found = self.get_submodule(f"join{place}")(joined)
        share = self.disparity(found).sigmoid()
        return 1 / (1 / FARTHEST + (1 / NEAREST - 1 / FARTHEST) * share)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ELU())


def monodepth_vgg() -> nn.Module:
    """Return Monodepth with a VGG-16 encoder, whose deepest map, 4 x 4, is that of the last pooling."""
    return Monodepth(vgg.convolutions(16), (*VGG_TAPS, "pool5"), (*vgg.WIDTHS, vgg.WIDTHS[-1]), (80, 64, 48, 24, 12))


def monodepth_resnet() -> nn.Module:
    channels = (32, *(resnet.EXPANSION * width for width in resnet.WIDTHS))
    return Monodepth(resnet.stages(), RESNET_TAPS, channels, (64, 48, 32, 24, 12))
