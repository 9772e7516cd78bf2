"""`hf:DIRECTORY`: an image classifier that Transformers has saved, with its image processor.

Read are `config.json`, `model.safetensors` and `preprocessor_config.json`; nothing is fetched, and no code of the
directory is run.
"""

from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.preprocess import Preprocess
from .packages import package
from .source import RANDOM, Network, Options, Source, fetched

INSTALL = "'foolbench[huggingface]'"
_RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""
_SQUARED_FROM = 384
"""ConvNeXt's processor: from this size on it squashes, below it cuts `crop_pct` out."""


def _check(name: str) -> None:
    package("transformers", f"hf:{name}", INSTALL)
    if not (Path(name) / "config.json").is_file():
        raise ConfigError(
            f"Expected a directory that Transformers has saved, found no config.json in {name}; make one with "
            "AutoModelForImageClassification.from_pretrained(NAME).save_pretrained(DIRECTORY), and the same of "
            "AutoImageProcessor."
        )


def _build(name: str, options: Options) -> Network:
    auto = package("transformers", f"hf:{name}", INSTALL).AutoModelForImageClassification
    config = package("transformers", f"hf:{name}", INSTALL).AutoConfig.from_pretrained(name, local_files_only=True)
    if options.weights is None:
        net = fetched(f"hf:{name}", lambda: auto.from_pretrained(name, local_files_only=True, trust_remote_code=False))
    elif options.weights == RANDOM or options.file is not None:
        net = fetched(f"hf:{name}", lambda: auto.from_config(config))
    else:
        raise ConfigError(f'Expected weights of hf:{name} as a file or "{RANDOM}", got {options.weights!r}.')
    known = _processor(name)
    labels = {int(place): str(label) for place, label in (config.id2label or {}).items()}
    return Network(
        net=net,
        preprocess=_preprocess(known),
        mean=_in_pixels(known, "image_mean"),
        std=_in_pixels(known, "image_std"),
        class_names=tuple(labels[place] for place in sorted(labels)),
    )


def _processor(name: str) -> dict[str, Any]:
    if not (Path(name) / "preprocessor_config.json").is_file():
        return {}
    transformers = package("transformers", f"hf:{name}", INSTALL)
    return transformers.AutoImageProcessor.from_pretrained(name, local_files_only=True).to_dict()


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
