"""A vision transformer for 128 x 128 scenes (https://arxiv.org/abs/2010.11929), with the convolutional stem of
https://arxiv.org/abs/2106.14881, without which so small a transformer learns little from so few images.

Kept from the original: 64 tokens of 16 x 16 pixels and a class token, pre-norm blocks of attention and MLP, GELU, a
linear head. Scaled: depth and widths.
"""

from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import ConvStemConfig

DEPTH = 6

FEATURES = tuple(f"encoder.layers.encoder_layer_{k}.mlp.1" for k in range(DEPTH))
"""The activations of every MLP; what follows a layer norm has a fixed norm."""


def vit(classes: int) -> nn.Module:
    net = VisionTransformer(
        image_size=128,
        patch_size=16,
        num_layers=DEPTH,
        num_heads=4,
        hidden_dim=128,
        mlp_dim=256,
        num_classes=classes,
        conv_stem_configs=[ConvStemConfig(width, 3, 2) for width in (16, 32, 64, 96)],
    )
    nn.init.trunc_normal_(net.heads.get_submodule("head").weight, std=0.02)  # torchvision's zeros pass no gradient on
    return net
