"""Networks of timm at `timm:NAME`, with the preprocessing in their pretrained configurations."""

import math
from typing import Any

from ...core.errors import ConfigError, UnknownNameError
from ...core.preprocess import Preprocess
from .hub import from_hub
from .imagenet_classes import imagenet_classes
from .packages import package
from .source import RANDOM, Network, Options, Source, fetched

INSTALL = "'foolbench[timm]'"


def _check(name: str) -> None:
    timm = package("timm", f"timm:{name}", INSTALL)
    if not timm.is_model(name):
        raise UnknownNameError("network of timm:", name, timm.list_models())


def _build(name: str, options: Options) -> Network:
    timm = package("timm", f"timm:{name}", INSTALL)
    pretrained = options.weights is None
    if not pretrained and options.weights != RANDOM and options.file is None:
        raise ConfigError(
            f'Expected weights of timm:{name} as a file or "{RANDOM}", got {options.weights!r}; timm has its own as '
            "timm:NAME.TAG."
        )
    if pretrained and options.classes not in (None, timm.get_pretrained_cfg_value(name, "num_classes")):
        raise ConfigError(
            f"timm's weights of {name} are for other classes than {options.classes}: give weights = a file."
        )
    arguments = {} if options.classes is None else {"num_classes": options.classes}
    address = f"timm:{name}"

    def create() -> Any:
        return timm.create_model(name, pretrained=pretrained, **arguments)

    net = fetched(address, lambda: from_hub(create, address, INSTALL)) if pretrained else create()
    if options.classes is None and _gives_embeddings(name, net):
        raise ConfigError(
            f"{address} gives no class scores but an embedding: say classes = N and weights = a file of a network that "
            "was trained to classify."
        )
    return described(timm, net)


def _gives_embeddings(name: str, net: Any) -> bool:
    """Return whether a network has no classifier, such as image towers of CLIP that were not fine-tuned to classes."""
    architecture, _, tag = name.partition(".")
    return net.num_classes == 0 or ("_clip_" in architecture and tag != "" and "_ft_" not in tag)


def described(timm: Any, net: Any) -> Network:
    """Return a network of timm with what timm knows about its images and classes."""
    known = timm.data.resolve_model_data_config(net)
    return Network(
        net=net,
        preprocess=preprocess_of(timm, net),
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
        class_names=imagenet_classes() if timm.data.infer_imagenet_subset(net) == "imagenet-1k" else (),
    )


def preprocess_of(timm: Any, net: Any) -> Preprocess:
    """Return timm's preprocessing for one of its networks."""
    known = timm.data.resolve_model_data_config(net)
    size = tuple(known["input_size"][1:])
    return Preprocess(
        size=size,
        resize=math.floor(min(size) / known["crop_pct"]),
        interpolation=known["interpolation"],
        crop="squash" if known["crop_mode"] == "squash" else "center",
    )


SOURCE = Source(
    prefix="timm",
    pattern="timm:NAME",
    summary="A network of timm, with its own weights; weights = a file, or none.",
    check=_check,
    build=_build,
)
