"""Hybrid network: wavelet scattering, which is not trained, then residual blocks (https://arxiv.org/abs/1703.08961)."""

from collections import OrderedDict

from torch import Tensor, nn

from ..addresses.packages import package
from .resnet import Block

FEATURES = ("relu1", "block1", "block2")
"""Layers for feature attacks such as GD-UAP, all in the trained part."""
SCALE, ANGLES = 2, 8
CHANNELS = 1 + ANGLES * SCALE + ANGLES**2 * SCALE * (SCALE - 1) // 2
"""Number of scattering coefficients of orders 0 to 2 at each position."""


class Scattering(nn.Module):
    """Scattering transform of grey images (N, 1, 8, 8) to coefficients (N, 81, 2, 2), by kymatio, with exact gradients.

    Raises ConfigError if kymatio is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        # not `kymatio.torch`, which also imports the 3-D transform, and that needs a function missing in SciPy 1.17
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
