"""Data sets from a torch Dataset of (image, target): PIL pictures, or arrays and tensors, uint8 or float in [0, 1].

Channels may come first or last. A Dataset that returns images only has no labels.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from ...core.complaint import short
from ...core.errors import ConfigError, InputError
from ...core.foreign import foreign
from ...core.model import Model
from ...core.preprocess import Preprocess
from ...tasks.recognition import Recognition
from .arrays import as_image, as_known, resized
from .base import Pictures
from .contents import pixel_hash

T = TypeVar("T")

MOST_CLASSES = 1_000_000
"""Upper bound for targets: larger ones are hashes, times or ids, for which no network has an output."""


class TorchImages(Pictures):
    """Recognition data from `items`, a torch Dataset of (image, target).

    The Dataset is read once to hash its content, and again when images are needed, always in the calling thread.
    Targets are indices of a network's outputs, not all of which need occur. If the Dataset has names in `classes`, as
    those of torchvision, outputs are matched by name, or by order if their numbers are equal and no output has such a
    name. Raises ConfigError for invalid items.
    """

    workers = 1  # the Dataset may not be thread-safe
    fits_already = True
    remedy = "give targets that are the numbers of the network's outputs, without .classes"

    def __init__(self, name: str, items: Any, *, train: str | None = None, train_share: float = 0.0) -> None:
        self.name, self._items = name, items
        with foreign(f"len() of {name}"):
            count = len(items)
        if count == 0:
            raise ConfigError(f"Expected images in {name}, got a data set of length 0.")
        self.channels, *size = self._item(0)[0].shape
        keys, pixels, labels = [], [], []
        for place in range(count):
            given, target = self._given(place)
            image = self._image_of(given, place)
            pixels.append(pixel_hash(as_known(given, image)))
            keys.append(hashlib.sha256(image.numpy().tobytes() + repr(image.shape).encode()).hexdigest())
            labels.append(target)
        unlabelled = all(label is None for label in labels)
        if not unlabelled and None in labels:
            raise ConfigError(f"Expected {name} to give a target with every image or with none, got some without.")
        self._named = self._has_names(labels)
        names = items.classes if self._named else map(str, range(0 if unlabelled else max(labels) + 1))
        preprocess = Preprocess(size=(size[0], size[1]), resize=min(size))
        super().__init__(
            name,
            keys,
            pixels,
            None if unlabelled else labels,
            None if unlabelled else list(names),
            in_order=not self._named,
            preprocess=preprocess,
            train=train,
            train_share=train_share,
        )

    def image(self, place: int) -> Tensor:
        image, _ = self._item(place)
        return image if tuple(image.shape[1:]) == self.preprocess.size else resized(image, self.preprocess)

    def picture_size(self, place: int) -> tuple[int, int]:
        _, height, width = self._item(place)[0].shape
        return height, width

    def _has_names(self, labels: Sequence[int | None]) -> bool:
        """Return whether the Dataset's `classes` names every target."""
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
        """Return image and class; raises ConfigError, with the item's number, if one of them is invalid."""
        given, target = self._given(place)
        return self._image_of(given, place), target

    def _given(self, place: int) -> tuple[Any, int | None]:
        """Return the image as the Dataset gives it, and the checked class."""
        with foreign(self._called(place)):
            found = self._items[place]
        given, target = (*found, None)[:2] if isinstance(found, tuple | list) else (found, None)
        return given, self._checked(_as_class, target, place)

    def _image_of(self, given: Any, place: int) -> Tensor:
        return self._checked(as_image, given, place)

    def _checked(self, check: Callable[[Any], T], given: Any, place: int) -> T:
        try:
            return check(given)
        except InputError as error:
            raise ConfigError(f"{self._called(place)}: {error}") from None

    def _called(self, place: int) -> str:
        return f"Item {place} of {self.name}"


def _as_class(target: Any) -> int | None:
    if target is None:
        return None
    try:
        number = target.item() if isinstance(target, Tensor | np.ndarray | np.generic) else target
    except (RuntimeError, ValueError):  # a map
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < MOST_CLASSES:
        raise InputError(
            f"Expected a class 0, 1, 2, ... below {MOST_CLASSES:,} or None as target, got {short(target)}."
        )
    return number
