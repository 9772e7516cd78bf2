"""Networks of torchvision at `torchvision:NAME`, for recognition and segmentation, with the weight enums' metadata."""

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...core.errors import ConfigError, UnknownNameError
from ...core.files import is_file
from ...core.preprocess import Preprocess
from .source import OTHERWISE, RANDOM, Network, Options, Source, fetched

_INCEPTIONS = ("googlenet", "inception_v3")
"""Networks whose initialisation takes a minute unless switched off, and whose pretrained weights need other inputs."""
_HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")
"""Start of the file's SHA-256, at the end of the URL of weights."""
_HEADS = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")
"""Key prefixes of the auxiliary heads of inception and segmentation networks, which serve training only."""


def _check(name: str) -> None:
    if name not in _names():
        raise UnknownNameError("network of torchvision:", name, _names())


def _names() -> list[str]:
    return _library().list_models(module=_library()) + _segmenting()


def _segmenting() -> list[str]:
    return _library().list_models(module=_library().segmentation)


def _library() -> Any:
    import torchvision.models  # imported late: it takes a second, which lists of names need not

    return torchvision.models


def _build(name: str, options: Options) -> Network:
    own = None if options.file is None else _of_file(name, options.file)
    known = own or _member(name, options)
    arguments = {} if options.classes is None else {"num_classes": options.classes}
    if options.weights == RANDOM or options.file is not None:
        net = _empty(name, arguments, transform_input=own is not None)
    elif options.classes not in (None, len(known.meta["categories"])):
        raise ConfigError(
            f"torchvision's weights of {name} are for other classes than {options.classes}: give weights = a file, or "
            f'"{RANDOM}" for random ones.'
        )
    else:
        place = Path(torch.hub.get_dir()) / "checkpoints" / Path(known.url).name
        net = fetched(
            f"torchvision:{name}",
            lambda: _library().get_model(name, weights=known, **arguments),
            f"put the file at {place}, or {OTHERWISE}",
        )
    preset = known.transforms()
    return Network(
        net=net,
        preprocess=_preprocess(preset),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        class_names=tuple(known.meta["categories"]),
        unused=_HEADS if name in _INCEPTIONS or name in _segmenting() else (),
    )


def _preprocess(preset: Any) -> Preprocess:
    """Convert a preset; segmentation presets have no crop, but ours get one: all images have the same, square size."""
    resize = preset.resize_size[0]
    side = preset.crop_size[0] if hasattr(preset, "crop_size") else resize
    return Preprocess(size=(side, side), resize=resize, interpolation=preset.interpolation.value)


def _member(name: str, options: Options) -> Any:
    """Return the enum member that the options name; the default one for random weights and for files."""
    enum = _library().get_model_weights(name)
    if options.weights in (None, RANDOM) or options.file is not None:
        return enum.DEFAULT
    names = [member.name for member in enum]
    if options.weights != "DEFAULT" and options.weights not in names:
        raise UnknownNameError(f"weights of torchvision:{name}:", str(options.weights), [*names, RANDOM])
    return enum[options.weights]


def _of_file(name: str, file: Path) -> Any | None:
    """Return the enum member whose weights a file holds, by its name or its hash; None for weights of others.

    The file is hashed only if the result can make a difference.
    """
    members = list(_library().get_model_weights(name))
    named = next((member for member in members if Path(member.url).name == file.name), None)
    if named is not None or not is_file(file) or (len(members) == 1 and name not in _INCEPTIONS):
        return named
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return next((one for one in members if (stated := _HASH.search(one.url)) and found.startswith(stated[1])), None)


def _empty(name: str, arguments: dict[str, Any], *, transform_input: bool) -> nn.Module:
    """Build the network with its initial weights."""
    if name in _INCEPTIONS:
        arguments = arguments | {"aux_logits": False, "transform_input": transform_input, "init_weights": False}
    if name in _segmenting():
        arguments = arguments | {"weights_backbone": None}  # else they are downloaded
    return _library().get_model(name, weights=None, **arguments)


SOURCE = Source(
    prefix="torchvision",
    pattern="torchvision:NAME",
    summary="A network of torchvision that recognises or segments; weights = one of its enum's names, a file, or none.",
    check=_check,
    build=_build,
)
