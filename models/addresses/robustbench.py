"""`robustbench:DATASET/THREAT/NAME`: the networks of RobustBench's model zoo, for images in [0, 1] as they are.

RobustBench fetches what is missing into a folder of the user's cache; what it fetches is read without running code.
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

INSTALL = "git+https://github.com/RobustBench/robustbench"
_GEOMETRY = re.compile(r"(?P<bicubic>Bicubic)?(Res(?P<resize>\d+))?(Crop(?P<crop>\d+))?$")
"""What RobustBench calls the preparation of ImageNet, as BicubicRes256Crop224."""


def _check(name: str) -> None:
    if name.count("/") != 2:
        raise ConfigError(
            f"Expected robustbench:DATASET/THREAT/NAME, as cifar10/Linf/Standard, got robustbench:{name}."
        )
    address = f"robustbench:{name}"
    zoo = package("robustbench.model_zoo", address, INSTALL).model_dicts
    enums = package("robustbench.model_zoo.enums", address, INSTALL)
    dataset, threat, model = name.split("/")
    _one_of("data set", dataset, [one.value for one in enums.BenchmarkDataset])
    _one_of("threat", threat, [one.value for one in enums.ThreatModel])
    _one_of("network", model, _of(zoo, name))


def _one_of(what: str, name: str, known: Any) -> None:
    if name not in known:
        raise UnknownNameError(f"{what} of robustbench:", name, known)


def _of(zoo: Any, name: str) -> Mapping[str, Any]:
    """All networks of the data set and threat of one."""
    enums = package("robustbench.model_zoo.enums", f"robustbench:{name}", INSTALL)
    dataset, threat, _ = name.split("/")
    return zoo[enums.BenchmarkDataset(dataset)][enums.ThreatModel(threat)]


def _build(name: str, options: Options) -> Network:
    address = f"robustbench:{name}"
    if options.weights is not None:
        raise ConfigError(f"{address} has its own weights; timm:NAME or FILE.py:NAME take others.")
    zoo = package("robustbench.model_zoo", address, INSTALL).model_dicts
    dataset, threat, model = name.split("/")

    def fetch() -> nn.Module:
        load = package("robustbench.utils", address, INSTALL).load_model
        with _tensors_only():
            return load(
                model, model_dir=user_cache_path("foolbench") / "robustbench", dataset=dataset, threat_model=threat
            )

    on_imagenet = dataset == "imagenet"
    return Network(
        net=fetched(address, fetch),
        preprocess=_preprocess(_of(zoo, name)[model]) if on_imagenet else Preprocess(size=(32, 32)),
        class_names=imagenet_classes() if on_imagenet else (),
    )


@contextmanager
def _tensors_only() -> Iterator[None]:
    """torch before 2.6 would unpickle whatever there is."""
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before


def _preprocess(entry: Mapping[str, Any]) -> Preprocess:
    stated = _GEOMETRY.match(str(entry.get("preprocessing") or "Res256Crop224"))
    geometry = stated.groupdict() if stated else {}
    size = int(geometry.get("crop") or geometry.get("resize") or 224)
    return Preprocess(
        size=(size, size),
        resize=int(geometry["resize"]) if geometry.get("resize") else None,
        interpolation="bicubic" if geometry.get("bicubic") else "bilinear",
    )


SOURCE = Source(
    prefix="robustbench",
    pattern="robustbench:DATASET/THREAT/NAME",
    summary="A network of RobustBench's model zoo, as robustbench:cifar10/Linf/Carmon2019Unlabeled.",
    check=_check,
    build=_build,
)
