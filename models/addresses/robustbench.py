"""Networks of RobustBench's model zoo at `robustbench:DATASET/THREAT/NAME`, for images in [0, 1] without normalisation.

RobustBench downloads missing files into the user's cache; they are loaded without running code.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from platformdirs import user_cache_path
from torch import nn

from ...core.errors import ConfigError, UnknownNameError
from ...core.preprocess import Preprocess
from .imagenet_classes import imagenet_classes
from .packages import package
from .source import Network, Options, Source, fetched
from .timm import preprocess_of as timm_preprocess

INSTALL = "robustbench"
_GEOMETRY = re.compile(r"(?P<bicubic>Bicubic)?(Res(?P<resize>\d+))?(Crop(?P<crop>\d+))?$")
"""RobustBench's names for the preprocessing of ImageNet, such as BicubicRes256Crop224."""


def _check(name: str) -> None:
    if name.count("/") != 2:
        raise ConfigError(
            f"Expected robustbench:DATASET/THREAT/NAME, as cifar10/Linf/Standard, got robustbench:{name}."
        )
    address = f"robustbench:{name}"
    zoo = package("robustbench.model_zoo", address, INSTALL).model_dicts
    for what, part in zip(("data set", "threat", "network"), name.split("/"), strict=True):
        zoo = _by_name(zoo)
        if part not in zoo:
            raise UnknownNameError(f"{what} of robustbench:", part, zoo)
        zoo = zoo[part]


def _by_name(level: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a level of the zoo by name: its upper keys are enums."""
    return {getattr(key, "value", key): below for key, below in level.items()}


def _build(name: str, options: Options) -> Network:
    address = f"robustbench:{name}"
    if options.weights is not None:
        raise ConfigError(f"{address} has its own weights; timm:NAME or FILE.py:NAME take others.")
    zoo = package("robustbench.model_zoo", address, INSTALL).model_dicts
    dataset, threat, model = name.split("/")
    entry = _by_name(_by_name(_by_name(zoo)[dataset])[threat])[model]
    folder = user_cache_path("foolbench") / "robustbench"

    def fetch() -> nn.Module:
        load = package("robustbench.utils", address, INSTALL).load_model
        with _tensors_only():
            return load(model, model_dir=folder, dataset=dataset, threat_model=threat)

    on_imagenet = dataset == "imagenet"
    net = fetched(address, fetch, f"without a connection put the file at {folder / name}.pt")
    return Network(
        net=net,
        preprocess=_preprocess(address, entry, net) if on_imagenet else Preprocess(size=(32, 32), resize=32),
        class_names=imagenet_classes() if on_imagenet else (),
    )


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Context manager that makes torch load tensors only: before 2.6 it would unpickle anything by default."""
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before


def _preprocess(address: str, entry: Mapping[str, Any], net: nn.Module) -> Preprocess:
    """Return the preprocessing from the zoo, or from timm for its networks; raises ConfigError if neither has one."""
    if "preprocessing" not in entry:
        of_timm = next((part for part in net.modules() if hasattr(part, "default_cfg")), None)
        if of_timm is None:
            raise ConfigError(
                f"Neither RobustBench nor timm says how images for {address} are made; load it by a "
                "function of yours, FILE.py:NAME, that gives a Model with its preprocess."
            )
        return timm_preprocess(package("timm", address, INSTALL), of_timm)
    stated = _GEOMETRY.match(str(entry["preprocessing"] or "Res256Crop224"))
    geometry = stated.groupdict() if stated else {}
    crop, resize = geometry.get("crop"), geometry.get("resize")
    size = int(crop or resize or 224)
    return Preprocess(
        size=(size, size),
        resize=int(resize) if resize and crop else None,
        interpolation="bicubic" if geometry.get("bicubic") else "bilinear",
        crop="center" if crop else "squash",
    )


SOURCE = Source(
    prefix="robustbench",
    pattern="robustbench:DATASET/THREAT/NAME",
    summary="A network of RobustBench's model zoo, as robustbench:cifar10/Linf/Carmon2019Unlabeled.",
    check=_check,
    build=_build,
)
