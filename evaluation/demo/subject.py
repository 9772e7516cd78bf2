"""The subject of the demonstration: a network, an image in its format, and a target."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image
from torch import Tensor

from ...core.errors import ConfigError, InputError, UnknownNameError
from ...core.files import is_file
from ...core.model import Model
from ...core.registry import datasets, models
from ...datasets.pictures.base import IMAGENET_SIZE
from ...datasets.pictures.reading import read_picture
from ...datasets.pictures.torch_images import TorchImages
from ...models import load_model

REAL, EMBEDDED = "imagenet:efficientnet-lite0", "scenes:resnet"
PHOTOGRAPH = "coffee"
"""The name of a photograph of a cup that scikit-image ships."""
TARGET = "black swan"


def network(address: str | None, options: Mapping[str, Any] = MappingProxyType({})) -> Model:
    """Return the network at an address, by default `REAL` if it is installed, else `EMBEDDED`.

    Raises ConfigError for an unknown address.
    """
    return load_model(address or _installed(), **options)


def image(path: Path | None, model: Model) -> tuple[Tensor, str]:
    """Return an image (1, C, H, W) in [0, 1] that fits the model, and its name.

    It is the picture at `path`, by default the first image of the network's data set, or else a photograph. Raises
    InputError for a path without a picture.
    """
    if path is not None:
        if not is_file(path):
            raise InputError(f"Expected a picture at {path}, found no file.")
        return _fitted(read_picture(path), path.name, model), path.name
    data = model.name.partition(":")[0]
    if data in datasets:
        return datasets[data]().load([0])[0], f"the first image of {data}"
    from skimage import data as photographs

    return _fitted(Image.fromarray(getattr(photographs, PHOTOGRAPH)()), PHOTOGRAPH, model), PHOTOGRAPH


def target_class(model: Model, wanted: str | None, outputs: Tensor) -> int:
    """Return the target class: the one `wanted`, by default a black swan if the network has it, else the least likely.

    Raises UnknownNameError for a class that the network does not have, ConfigError for the class that it predicts.
    """
    names = [model.class_name(label).lower() for label in range(outputs.shape[1])]
    if wanted is None:
        found = names.index(TARGET) if TARGET in names else int(outputs.argmin())
    elif wanted.lower() in names:
        found = names.index(wanted.lower())
    else:
        raise UnknownNameError(f"class of {model.name}:", wanted, [model.class_name(n) for n in range(len(names))])
    if found == int(outputs.argmax()):
        raise ConfigError(f"{model.name} sees {model.class_name(found)} there already; choose another --target.")
    return found


def chosen_aim(model: Model, wanted: str | None) -> str:
    """Return what maps are driven to: the aim `wanted`, by default the first of the network's task.

    Raises UnknownNameError for an aim that the task does not have.
    """
    aims = list(model.task.aims)
    if wanted is not None and wanted not in aims:
        raise UnknownNameError(f"aim of {model.name}:", wanted, aims)
    return aims[0] if wanted is None else wanted


def _installed() -> str:
    try:
        models[REAL]
    except ConfigError:
        return EMBEDDED
    return REAL


def _fitted(picture: Image.Image, name: str, model: Model) -> Tensor:
    images = TorchImages(name, [picture])
    images.preprocess = IMAGENET_SIZE  # the size for a network that takes any
    return images.for_model(model).load([0])[0]
