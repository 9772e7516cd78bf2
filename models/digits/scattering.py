"""A hybrid network: wavelet scattering, which is not learned, then residual blocks (https://arxiv.org/abs/1703.08961)."""

from collections import OrderedDict

from torch import Tensor, nn

from ..addresses.packages import package
from .resnet import Block

FEATURES = ("relu1", "block1", "block2")
"""Of what is learned: what GD-UAP, which disturbs features, can get hold of."""
SCALE, ANGLES = 2, 8
CHANNELS = 1 + ANGLES * SCALE + ANGLES**2 * SCALE * (SCALE - 1) // 2
"""Scattering coefficients of orders 0 to 2 at each place."""


class Scattering(nn.Module):
    """Grey images (N, 1, 8, 8) to scattering coefficients (N, 81, 2, 2), by kymatio. Gradients are exact.

    Raises ConfigError where kymatio is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        # Not `kymatio.torch`: that imports the transform of volumes as well, which needs a function SciPy 1.17 lacks.
        frontend = package(
            "kymatio.scattering2d.frontend.torch_frontend", "digits:scattering", "'foolbench[scattering]'"
        )
        self.transform = frontend.ScatteringTorch2D(J=SCALE, shape=(8, 8), L=ANGLES)

    def forward(self, x: Tensor) -> Tensor:
        return self.transform(x.contiguous()).flatten(1, 2)


def scattering(classes: int = 10) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            scattering=Scattering(),
            norm0=nn.BatchNorm2d(CHANNELS, affine=False),
            conv1=nn.Conv2d(CHANNELS, 64, 3, padding=1, bias=False),
            norm1=nn.BatchNorm2d(64),
            relu1=nn.ReLU(),
            block1=Block(64, 64, 1, nn.ReLU),
            block2=Block(64, 64, 1, nn.ReLU),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(64, classes),
        )
    )
