"""`FILE.py:NAME` and `package.module:NAME`: any map-style torch Dataset of (image, target), or what makes one.

Images are PIL pictures, or arrays and tensors, uint8 or float in [0, 1], with channels first or last. What gives images
only has no labels.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.dataset import Dataset
from ...core.errors import ConfigError, InputError
from ...core.foreign import foreign
from ...core.images import check_images
from ...core.model import Model
from ...core.preprocess import Preprocess
from ...core.python_objects import find_object
from ...core.registry import Family
from ...tasks.recognition import Recognition
from .base import Pictures
from .fitting import fit
from .reading import to_rgb

SUMMARY = "Your own: a torch Dataset of (image, target), a foolbench.core.Dataset, or what gives one."
MOST_CLASSES = 1_000_000
"""A target beyond is a hash, a time or an id, for which no network has an output."""


class TorchImages(Pictures):
    """A torch Dataset. It is read once to know its content, and again when images are needed, in this thread.

    Targets are the numbers of a network's outputs, of which a few images show only some; where the Dataset has names as
    its `classes`, as those of torchvision, and the network has not as many outputs, these say which output is meant.
    """

    workers = 1  # a stranger's dataset may not be safe in several threads
    remedy = "give targets that are the numbers of the network's outputs, without .classes"

    def __init__(self, name: str, items: Any, *, train: str | None = None, train_share: float = 0.0) -> None:
        self.name, self._items = name, items
        with foreign(f"len() of {name}"):
            count = len(items)
        if count == 0:
            raise ConfigError(f"Expected images in {name}, got a data set of length 0.")
        self.channels, *size = self._item(0)[0].shape
        keys, labels = [], []
        for image, target in map(self._item, range(count)):
            keys.append(hashlib.sha256(image.numpy().tobytes() + repr(image.shape).encode()).hexdigest())
            labels.append(target)
        unlabelled = all(label is None for label in labels)
        if not unlabelled and None in labels:
            raise ConfigError(f"Expected {name} to give a target with every image or with none, got some without.")
        self._named = self._has_names(labels)
        names = items.classes if self._named else map(str, range(0 if unlabelled else max(labels) + 1))
        preprocess = Preprocess(size=(size[0], size[1]))
        super().__init__(
            name,
            keys,
            None if unlabelled else labels,
            None if unlabelled else list(names),
            in_order=True,
            preprocess=preprocess,
            train=train,
            train_share=train_share,
        )

    def image(self, place: int) -> Tensor:
        image, _ = self._item(place)
        return image if tuple(image.shape[1:]) == self.preprocess.size else _resized(image, self.preprocess)

    def _has_names(self, labels: Sequence[int | None]) -> bool:
        """Whether the Dataset says what its targets are called."""
        names: Any = getattr(self._items, "classes", None)
        known = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        return known and all(label is None or label < len(names) for label in labels)

    def _mapped(self, model: Model) -> list[int]:
        if self._named or not isinstance(model.task, Recognition):
            return super()._mapped(model)
        seen, outputs = len(self.classes or ()), model.task.classes
        if seen > outputs:
            raise ConfigError(f"{self.name} has the target {seen - 1}, {model.name} has only {outputs} outputs from 0.")
        return list(range(seen))

    def _item(self, place: int) -> tuple[Tensor, int | None]:
        """Raises ConfigError, with the number of the item, for what is no image or no class."""
        what = f"Item {place} of {self.name}"
        try:
            with foreign(what):
                found = self._items[place]
            image, target = found[:2] if isinstance(found, tuple | list) else (found, None)
            return as_image(image), _as_class(target)
        except InputError as error:
            raise ConfigError(f"{what}: {error}") from None


def as_image(given: Any) -> Tensor:
    """(C, H, W), uint8 or float32 in [0, 1]. Raises InputError for what is neither."""
    if isinstance(given, Image.Image):
        return (
            torch.from_numpy(np.array(given if given.mode == "L" else to_rgb(given)))
            .reshape(given.height, given.width, -1)
            .permute(2, 0, 1)
            .contiguous()
        )
    image = torch.from_numpy(given.copy()) if isinstance(given, np.ndarray) else given
    if not isinstance(image, Tensor) or image.ndim not in (2, 3):
        raise InputError(f"Expected an image as PIL, array or tensor of 2 or 3 dimensions, got {_what(given)}.")
    if image.ndim == 2:
        image = image[None]
    if image.shape[0] not in (1, 3) and image.shape[2] in (1, 3):
        image = image.permute(2, 0, 1)
    if image.shape[0] not in (1, 3):
        raise InputError(f"Expected an image of 1 or 3 channels, first or last, got {_what(given)}.")
    image = image.detach().cpu().contiguous()
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise InputError(f"Expected uint8 pixels or floats in [0, 1], got {image.dtype}.")
    check_images(image.float()[None])
    return image.float()


def _as_class(target: Any) -> int | None:
    if target is None:
        return None
    try:
        number = target.item() if isinstance(target, Tensor | np.ndarray | np.generic) else target
    except (RuntimeError, ValueError):  # a map
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < MOST_CLASSES:
        raise InputError(f"Expected a class 0, 1, 2, ... below {MOST_CLASSES:,} or None as target, got {target!r}.")
    return number


def _resized(image: Tensor, preprocess: Preprocess) -> Tensor:
    """Through an eight-bit picture, as files are."""
    levels = image if image.dtype == torch.uint8 else (image * 255).round().to(torch.uint8)
    pixels = levels.permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels)
    return fit(picture.convert("RGB"), preprocess)[: len(image)]


def _what(given: Any) -> str:
    shape = getattr(given, "shape", None)
    return type(given).__name__ if shape is None else f"{type(given).__name__} of shape {tuple(shape)}"


def _loader(address: str) -> Callable[..., Dataset]:
    found = find_object(address)

    def load(*, train: str | None = None, train_share: float = 0.0, **given: Any) -> Any:
        items = found
        if isinstance(found, type) or not hasattr(found, "__getitem__"):
            with foreign(address):
                items = found(**given)
        return as_dataset(address, items, {"train": train, "train_share": train_share})

    load.__doc__ = SUMMARY
    return load


def as_dataset(name: str, items: Any, options: Mapping[str, Any]) -> Dataset:
    """A torch Dataset with options; a foolbench Dataset stays as it is. Raises ConfigError for anything else."""
    if hasattr(items, "fingerprint") and hasattr(items, "load"):
        return items
    if not (hasattr(items, "__getitem__") and hasattr(items, "__len__")):
        raise ConfigError(f"Expected {name} to be a torch Dataset with a length, got {type(items).__name__}.")
    return TorchImages(name, items, **options)


FAMILY = Family(
    {"FILE.py:NAME": SUMMARY, "package.module:NAME": "The same, in a package that can be imported."},
    _loader,
    is_open=True,
)
