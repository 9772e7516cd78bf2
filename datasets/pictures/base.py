"""Base class of data sets of pictures, of any size and with or without labels, fitted to a network's input."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ...core.dataset import Advance
from ...core.errors import ConfigError
from ...core.fitting import window
from ...core.model import Model
from ...core.preprocess import Preprocess
from ...core.registry import datasets
from ...core.seeding import derive_key
from ...core.task import Task
from ...tasks.recognition import Recognition
from .batches import as_floats, as_levels
from .classes import by_name, mapping

LUMA = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
"""Weights of red, green and blue in the brightness, by ITU-R 601 as in Pillow."""
IMAGENET_SIZE = Preprocess(size=(224, 224), resize=256)
"""Default preprocessing, where no network specifies its own."""


class Pictures(ABC):
    """Base class of data sets of pictures; `for_model` fits the pictures and classes to a network.

    `keys` are hashes of each picture's content (with its map, if any); `pixels` are their `pixel_hash`, by which a
    picture is recognised in other data sets. `classes` names the classes that `labels` index; both are None without
    labels. If the classes are `in_order`, output k of a network means class k. `preprocess` gives the image size.
    Training images come from the data set with address `train`, or are the random share `train_share` of the pictures,
    which are then not evaluation samples; pictures in both are left out of training. Pictures with the same number in
    `clusters` depend on each other, and are held out together. Raises ConfigError for invalid options.
    """

    workers = os.cpu_count() or 1
    channels = 3
    fits_already = False
    """Whether pictures that already have the network's input size are used without resizing and cropping."""
    skipped: Mapping[str, str] = MappingProxyType({})
    """Paths of the unreadable pictures that are left out, with the reason."""
    remedy = "name a network of these {count} classes"
    """Advice in the error that is raised if the classes do not match a network's."""

    def __init__(
        self,
        name: str,
        keys: Sequence[str],
        pixels: Sequence[str],
        labels: Sequence[int] | None,
        classes: Sequence[str] | None,
        *,
        in_order: bool = False,
        preprocess: Preprocess = IMAGENET_SIZE,
        clusters: Sequence[int] | None = None,
        train: str | None = None,
        train_share: float = 0.0,
    ) -> None:
        if not 0 <= train_share < 1:
            raise ConfigError(f"Expected train_share in [0, 1), got {train_share}.")
        if train is not None and train_share:
            raise ConfigError(f"Expected {name} with train = ADDRESS or train_share, got both.")
        self.name, self._keys, self._pixels, self._all_labels, self.classes = name, keys, pixels, labels, classes
        self._in_order, self.preprocess, self._train = in_order, preprocess, train
        self._clusters = clusters
        first = {} if clusters is None else dict(zip(reversed(clusters), reversed(keys), strict=True))
        decisive = pixels if clusters is None else [first[cluster] for cluster in clusters]
        held_out = [_draw(key) < train_share for key in decisive]
        self._places = [place for place, held in enumerate(held_out) if not held]
        self._training_places = [place for place, held in enumerate(held_out) if held]
        self.task: Task = Recognition(classes=max(2, len(classes or ())))  # until `for_model` sets the network's
        self._order: Tensor | None = None  # the network's output for each class
        self._model: Model | None = None  # set by `for_model`
        self._barred: Set[str] = frozenset()  # pixel hashes of pictures that must not be trained on
        self._is_blind = False  # whether its targets are of another task
        if not self._places:
            raise ConfigError(f"{name} has no pictures left to evaluate on: {len(keys)} in all, train_share too large?")

    @abstractmethod
    def image(self, place: int) -> Tensor:
        """Return picture number `place` of all, uint8 (C, H, W) or float32 in [0, 1], fitted by `self.preprocess`."""

    @abstractmethod
    def picture_size(self, place: int) -> tuple[int, int]:
        """Return the (height, width) of picture number `place` of all, before it is fitted."""

    def windows(self, samples: Sequence[int]) -> Tensor:
        """Return height and width (N, 2) of the window of the picture that each image shows, in shorter sides."""
        return torch.tensor([self._window(self._places[sample]) for sample in samples], dtype=torch.float64)

    def _window(self, place: int) -> tuple[float, float]:
        size = self.picture_size(place)
        as_it_is = self.fits_already and size == self.preprocess.size
        return window(size, Preprocess(size=size) if as_it_is else self.preprocess)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, *self.preprocess.size

    @property
    def fingerprint(self) -> str:
        """Hash of the contents, the labels and the preprocessing of the evaluation images."""
        parts = [self.channels, self.preprocess, self.task, *(self._keys[place] for place in self._places)]
        labels = [] if self.labels is None else self.labels.tolist()
        return short_hash((parts, labels))

    def training_fingerprint(self) -> str:
        """Return a hash of the contents, labels and preprocessing of the training images, "" if there are none."""
        try:
            source, places = self._training_source()
        except ConfigError:  # `training` raises it for whoever needs the images
            return ""
        labels = None if source._is_blind else source._labels_of(places)
        targets = [0] * len(places) if labels is None else labels.tolist()
        known = sorted(zip((source._keys[place] for place in places), targets, strict=True))
        return short_hash((self.channels, self.preprocess, self.task, known, labels is None))

    @property
    def labels(self) -> Tensor | None:
        return self._labels_of(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def clusters(self, samples: Sequence[int]) -> Sequence[int] | None:
        return None if self._clusters is None else [self._clusters[self._places[sample]] for sample in samples]

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        places = [self._places[sample] for sample in samples]
        return as_floats(self._images(places)), self._targets_of(places)

    def suits(self, task: Task) -> bool:
        """Return whether the targets, if any, are of the kind that networks for `task` predict."""
        return isinstance(task, Recognition)

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor | None]:
        """Return up to `count` training images, uint8, and targets; raises ConfigError if there are none."""
        source, places = self._training_source()
        places = sorted(places, key=lambda place: derive_key("training", source._keys[place]))[:count]
        images = as_levels(source._images(places))
        advance(len(images))
        return images, None if source._is_blind else source._targets_of(places)

    @property
    def evaluated(self) -> Set[str]:
        """Pixel hashes of all evaluation pictures."""
        return {self._pixels[place] for place in self._places}

    def apart_from(self, other: "Pictures") -> "Pictures":
        """Return a copy whose training images exclude those that `other` evaluates on."""
        found = copy(self)
        found._barred = self._barred | other.evaluated
        return found

    def for_model(self, model: Model) -> "Pictures":
        """Return a copy whose images have the network's size, and whose labels are the network's outputs.

        Raises ConfigError if the classes do not match.
        """
        found = copy(self)
        channels, height, width = model.shape
        found.channels = channels or self.channels
        if model.preprocess is not None:
            found.preprocess = model.preprocess
        elif height is not None and width is not None:
            found.preprocess = Preprocess(size=(height, width), resize=min(height, width))
        found.task, found._model = model.task, model
        if self.classes is not None:
            found._order = torch.tensor(self._mapped(model))
        return found

    def _mapped(self, model: Model) -> list[int]:
        """Return the network's output for each class; raises ConfigError if there is none for a class."""
        outputs = model.task.classes if isinstance(model.task, Recognition) else 0
        if self._in_order and outputs == len(self.classes or ()):
            return list(range(outputs))
        return mapping(self.name, self.classes or (), model.name, outputs, model.class_names, self.remedy)

    def _training_source(self) -> tuple["Pictures", list[int]]:
        """Return the data set that training images come from, and their numbers, without the evaluation pictures."""
        source, places = self._to_train_on()
        taken = self.evaluated | self._barred
        left = [place for place in places if source._pixels[place] not in taken]
        if not left:
            raise ConfigError(f"All training images of {self.name} are among the evaluation images; name others.")
        return source, left

    def _to_train_on(self) -> tuple["Pictures", list[int]]:
        """Return the data set that training images come from, and their numbers, evaluation pictures included."""
        if self._train is not None:
            other = self._other(self._train)
            return other, other._places
        if not self._training_places:
            raise ConfigError(
                f"{self.name} has no training images: say train = ADDRESS of others or train_share = 0.2 in the "
                "recipe's table dataset."
            )
        return self, self._training_places

    def for_others(self) -> "Pictures":
        """Return the pictures that a data set with `train` = this one's address trains on, by default all of them."""
        return self

    def _other(self, address: str) -> "Pictures":
        named: Any = datasets.bind(address, {})()
        if not isinstance(named, Pictures):
            raise ConfigError(f"Expected train = the address of pictures, as image-folder:PATH, got {address!r}.")
        others = named.for_others()
        blind = not others.suits(self.task)
        other = self._for_the_same_network(others)
        other._is_blind = blind
        if other.classes is not None and not blind:
            self._order_classes_of(other, other.classes)
        return other

    def _for_the_same_network(self, other: "Pictures") -> "Pictures":
        other.channels, other.preprocess, other.task = self.channels, self.preprocess, self.task
        return other

    def _order_classes_of(self, other: "Pictures", names: Sequence[str]) -> None:
        """Map the classes of the training set `other` to outputs, by the names of this set's classes or of outputs.

        If this set has no classes, and those of `other` cannot be mapped to outputs, its labels are dropped. Raises
        ConfigError for a class that neither this set nor the network has.
        """
        mine, model = self.classes, self._model
        if mine is not None and set(names) <= set(mine):
            places = torch.tensor([list(mine).index(name) for name in names])
            other._order = places if self._order is None else self._order[places]
        elif model is not None and mine is None:
            try:
                other._order = torch.tensor(other._mapped(model))
            except ConfigError:
                other._all_labels = None
        elif model is not None and mine is not None:
            other._order = torch.tensor(
                other._mapped(model) if other._in_order else self._outputs_named(other, mine, model)
            )

    def _outputs_named(self, other: "Pictures", mine: Sequence[str], model: Model) -> list[int]:
        """Return the output for each class of `other`, by names only: an equal number of classes proves nothing."""
        outputs = model.task.classes if isinstance(model.task, Recognition) else 0
        found = by_name(other.name, other.classes or (), outputs, model.class_names)
        if found is None:
            foreign = next(name for name in other.classes or () if name not in mine)
            raise ConfigError(
                f"The training images of {other.name} have the class {foreign}, which {self.name} lacks and no output "
                f"of {model.name} is called; leave such classes out."
            )
        return found

    def _images(self, places: Sequence[int]) -> list[Tensor]:
        if self.workers == 1:
            return [self._channelled(place) for place in places]
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(self._channelled, places))

    def _channelled(self, place: int) -> Tensor:
        return self._as_channels(self.image(place))

    def _as_channels(self, image: Tensor) -> Tensor:
        """Convert to the network's number of channels: brightness for one, repeated grey for three."""
        if len(image) == self.channels:
            return image
        if len(image) == 1:
            return image.expand(self.channels, -1, -1)
        grey = (image.float() * LUMA).sum(dim=0, keepdim=True)
        return grey.round().to(torch.uint8) if image.dtype == torch.uint8 else grey.clamp(0, 1)

    def _targets_of(self, places: Sequence[int]) -> Tensor | None:
        """Return the targets of the pictures with these numbers."""
        return self._labels_of(places)

    def _labels_of(self, places: Sequence[int]) -> Tensor | None:
        if self._all_labels is None:
            return None
        labels = torch.tensor([self._all_labels[place] for place in places], dtype=torch.int64)
        return labels if self._order is None else self._order[labels]


def short_hash(value: Any) -> str:
    """Return 16 hex digits of a hash of the value's repr."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _draw(key: str) -> float:
    """Draw a number in [0, 1) that depends on the content only: duplicates fall on the same side of a split."""
    return (derive_key("train_share", key) % 2**32) / 2**32
