"""`hf:DIRECTORY`: an image classifier that Transformers has saved, with its image processor.

Read are `config.json`, `model.safetensors` and `preprocessor_config.json`; nothing is fetched, and no code of the
directory is run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...core.errors import ConfigError
from ...core.files import is_file
from ...core.preprocess import Preprocess
from .packages import package
from .source import RANDOM, Network, Options, Source, fetched

INSTALL = "'foolbench[huggingface]'"
_SAFELY = {"local_files_only": True, "trust_remote_code": False}
_RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""
_SQUARED_FROM = 384
"""ConvNeXt's processor: from this size on it squashes, below it cuts `crop_pct` out."""


def _check(name: str) -> None:
    package("transformers", f"hf:{name}", INSTALL)
    if not is_file(Path(name) / "config.json"):
        raise ConfigError(
            f"Expected a directory that Transformers has saved, found no config.json in {name}; make one with "
            "AutoModelForImageClassification.from_pretrained(NAME).save_pretrained(DIRECTORY), and the same of "
            "AutoImageProcessor."
        )


def _build(name: str, options: Options) -> Network:
    transformers = package("transformers", f"hf:{name}", INSTALL)
    known = _processor(transformers, name, options)
    net = fetched(f"hf:{name}", lambda: _net(transformers, name, options))
    config: Any = net.config
    labels: Mapping[Any, Any] = config.id2label or {}
    return Network(
        net=net,
        preprocess=_preprocess(known),
        mean=_in_pixels(known, "image_mean"),
        std=_in_pixels(known, "image_std"),
        class_names=tuple(str(labels[place]) for place in sorted(labels, key=int)),
    )


def _net(transformers: Any, name: str, options: Options) -> nn.Module:
    auto = transformers.AutoModelForImageClassification
    if options.weights is None:
        return auto.from_pretrained(name, **_SAFELY)
    if options.weights != RANDOM and options.file is None:
        raise ConfigError(f'Expected weights of hf:{name} as a file or "{RANDOM}", got {options.weights!r}.')
    given = {} if options.classes is None else {"num_labels": options.classes}
    return auto.from_config(transformers.AutoConfig.from_pretrained(name, **given, **_SAFELY))


def _processor(transformers: Any, name: str, options: Options) -> dict[str, Any]:
    """What the saved processor does. Raises ConfigError where there is none, and nothing else says it."""
    if is_file(Path(name) / "preprocessor_config.json"):
        return fetched(f"hf:{name}", lambda: transformers.AutoImageProcessor.from_pretrained(name, **_SAFELY)).to_dict()
    if options.mean is None or options.size is None:
        raise ConfigError(
            f"hf:{name} has no preprocessor_config.json, which says how its images are made: save its "
            "AutoImageProcessor there, or set size, mean and std (0 and 1 where it normalises by itself)."
        )
    return {}


def _in_pixels(known: dict[str, Any], what: str) -> tuple[float, ...] | None:
    """For images in [0, 1], whatever the processor scales them to before it normalises."""
    if not known.get("do_normalize"):
        return None
    scale = 255 * known.get("rescale_factor", 1 / 255) if known.get("do_rescale") else 255
    return tuple(value / scale for value in known[what])


def _preprocess(known: dict[str, Any]) -> Preprocess | None:
    size, crop = known.get("size"), known.get("crop_size") if known.get("do_center_crop") else None
    interpolation = _RESAMPLE.get(int(known.get("resample", 2)), "bilinear")
    if not size:
        return None
    if "shortest_edge" not in size:
        height, width = size["height"], size["width"]
        if crop is None:
            return Preprocess(size=(height, width), interpolation=interpolation, crop="squash")
        return Preprocess(size=_pair(crop), resize=min(height, width), interpolation=interpolation)
    edge = size["shortest_edge"]
    if crop is not None:
        return Preprocess(size=_pair(crop), resize=edge, interpolation=interpolation)
    if edge >= _SQUARED_FROM:
        return Preprocess(size=(edge, edge), interpolation=interpolation, crop="squash")
    resize = int(edge / (known.get("crop_pct") or 1))
    return Preprocess(size=(edge, edge), resize=resize, interpolation=interpolation)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size["height"], size["width"])


SOURCE = Source(
    prefix="hf",
    pattern="hf:DIRECTORY",
    summary="An image classifier that Transformers has saved there.",
    check=_check,
    build=_build,
)
