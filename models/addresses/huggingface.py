"""Image classifiers saved by Transformers at `hf:DIRECTORY`, with their image processors.

Only `config.json`, `model.safetensors` and `preprocessor_config.json` are read; nothing is downloaded, and no code of
the directory is run. The processor's configuration is compared with what it actually does to a picture.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ...core.errors import ConfigError, WeightsError
from ...core.files import is_file
from ...core.fitting import fit
from ...core.normalization import Normalization
from ...core.preprocess import Preprocess
from .packages import package
from .source import RANDOM, Network, Options, Source, fetched

INSTALL = "'foolbench[huggingface]'"
_SAFELY = {"local_files_only": True, "trust_remote_code": False}
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers of the interpolations."""
_NOISE = 2 / 255
"""Mean difference of channels in [0, 1] that rounding and interpolation may cause."""
_SQUARED_FROM = 384
"""Size from which ConvNeXt's processor squashes pictures; below, it crops by `crop_pct`."""


def _check(name: str) -> None:
    package("transformers", f"hf:{name}", INSTALL)
    if not is_file(Path(name).expanduser() / "config.json"):
        raise ConfigError(
            f"Expected a directory that Transformers has saved, found no config.json in {name}; make one with "
            "AutoModelForImageClassification.from_pretrained(NAME).save_pretrained(DIRECTORY), and the same of "
            "AutoImageProcessor."
        )


def _build(name: str, options: Options) -> Network:
    name = str(Path(name).expanduser())
    transformers = package("transformers", f"hf:{name}", INSTALL)
    processor = _processor(transformers, name, options)
    known: dict[str, Any] = {} if processor is None else processor.to_dict()
    net = fetched(f"hf:{name}", lambda: _net(transformers, name, options))
    config: Any = net.config
    labels: Mapping[Any, Any] = config.id2label or {}
    found = Network(
        net=net,
        preprocess=_preprocess(known),
        mean=_in_pixels(known, "image_mean"),
        std=_in_pixels(known, "image_std"),
        class_names=tuple(str(labels[place]) for place in sorted(labels, key=int)),
    )
    if processor is not None:
        _check_processor(name, processor, found)
    return found


def _net(transformers: Any, name: str, options: Options) -> nn.Module:
    """Load the network; raises WeightsError if weights are missing, which Transformers would initialise at random."""
    auto = transformers.AutoModelForImageClassification
    if options.weights is None:
        net, loading = auto.from_pretrained(name, output_loading_info=True, **_SAFELY)
        if missing := sorted(loading["missing_keys"]):
            raise WeightsError(
                f"hf:{name} was saved without {len(missing)} of the weights of {type(net).__name__}, {missing[0]} the "
                f'first of them; save the whole image classifier, or say weights = a file or "{RANDOM}".'
            )
        return net
    if options.weights != RANDOM and options.file is None:
        raise ConfigError(f'Expected weights of hf:{name} as a file or "{RANDOM}", got {options.weights!r}.')
    given = {} if options.classes is None else {"num_labels": options.classes}
    return auto.from_config(transformers.AutoConfig.from_pretrained(name, **given, **_SAFELY))


def _processor(transformers: Any, name: str, options: Options) -> Any:
    """Return the saved image processor or None; raises ConfigError if there is none, and no options replace it."""
    if is_file(Path(name) / "preprocessor_config.json"):
        return fetched(f"hf:{name}", lambda: transformers.AutoImageProcessor.from_pretrained(name, **_SAFELY))
    if options.mean is None or options.size is None:
        raise ConfigError(
            f"hf:{name} has no preprocessor_config.json, which says how its images are made: save its "
            "AutoImageProcessor there, or set size, mean and std (0 and 1 where it normalises by itself)."
        )
    return None


def _check_processor(name: str, processor: Any, found: Network) -> None:
    """Raise ConfigError if the processor turns a picture into another image than foolbench does.

    Crops may differ by half a pixel, which changes the test picture little; any other difference changes it more.
    """
    picture = _picture()
    theirs: Tensor = processor(images=[picture], return_tensors="pt")["pixel_values"][0].float()
    as_it_is = Preprocess(size=(picture.height, picture.width))
    normalise = Normalization(found.mean, found.std, None)
    ours = normalise(fit(picture, found.preprocess or as_it_is)[None].float() / 255)[0]
    same = theirs.shape == ours.shape
    if not same or float(((theirs - ours) * normalise.std[0]).abs().mean()) > max(_NOISE, 0.5 / min(ours.shape[1:])):
        raise ConfigError(
            f"The image processor {type(processor).__name__} of hf:{name} does something else to pictures than to "
            "resize, cut and normalise them; load the network by a function of yours, FILE.py:NAME, that does it."
        )


def _picture() -> Image.Image:
    """Return a test picture, 640 x 480, with a different colour gradient in each channel."""
    down, across = torch.meshgrid(torch.linspace(0, 1, 480), torch.linspace(0, 1, 640), indexing="ij")
    colours = torch.stack([0.6 * across, 0.3 + 0.7 * down, 0.5 * (1 - across * down)], dim=2)
    return Image.fromarray((colours * 255).round().byte().numpy())


def _in_pixels(known: dict[str, Any], what: str) -> tuple[float, ...] | None:
    """Convert a mean or std to images in [0, 1], whatever the processor's scale; None if it does not normalise."""
    if not known:
        return None
    scale = 255 * known.get("rescale_factor", 1 / 255) if known.get("do_rescale") else 255
    if known.get("do_normalize"):
        return tuple(value / scale for value in known[what])
    return None if math.isclose(scale, 1) or what == "image_mean" else (1 / scale,)


def _preprocess(known: dict[str, Any]) -> Preprocess | None:
    size, crop = known.get("size"), known.get("crop_size") if known.get("do_center_crop") else None
    interpolation = _RESAMPLE[int(known.get("resample", 2))]
    if not size:
        return None
    if "shortest_edge" not in size:
        height, width = size["height"], size["width"]
        if crop is None:
            return Preprocess(size=(height, width), interpolation=interpolation, crop="squash")
        return Preprocess(size=_pair(crop), resize=min(height, width), interpolation=interpolation, crop="squash")
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
