"""Pictures of any size with labels or without, as the images that a network takes."""

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
"""What each colour adds to the brightness, by ITU-R 601 as in Pillow."""
IMAGENET_SIZE = Preprocess(size=(224, 224), resize=256)
"""Where no network says what it takes."""


class Pictures(ABC):
    """Evaluation samples are pictures 0..len-1, in the order of `keys`, a hash of each one's content. By its `pixels`,
    as `pixel_hash` has them, a picture is known in other data sets, whatever lies beside it there.

    `classes` are the names of the classes that `labels` count, in their order; both None without labels. Images have
    the size that `preprocess` says, for networks of their own (`for_model`); where the classes are `in_order`, output k
    of a network means class k. Training images are another data set's, or a share of the pictures, which are then no
    evaluation samples; what is in both is left out of training. Pictures with the same number in `clusters` depend on
    each other, and are held out together.
    """

    workers = os.cpu_count() or 1
    channels = 3
    fits_already = False
    """Whether what has the size that a network takes is that image, without being resized and cut."""
    skipped: Mapping[str, str] = MappingProxyType({})
    """Pictures that cannot be read and are left out, and why."""
    remedy = "name a network of these {count} classes"
    """What to do where the classes are not those of a network."""

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
        self.task: Task = Recognition(classes=max(2, len(classes or ())))  # until a network says its own
        self._order: Tensor | None = None  # of the network's classes
        self._model: Model | None = None  # the network, where there is one
        self._barred: Set[str] = frozenset()  # from training, by their pixels
        self._is_blind = False  # targets mean nothing to the network
        if not self._places:
            raise ConfigError(f"{name} has no pictures left to evaluate on: {len(keys)} in all, train_share too large?")

    @abstractmethod
    def image(self, place: int) -> Tensor:
        """Picture number `place` of all, as uint8 (C, H, W) or float32 in [0, 1], fitted by `self.preprocess`."""

    @abstractmethod
    def picture_size(self, place: int) -> tuple[int, int]:
        """(height, width) of picture number `place` of all, before it is fitted."""

    def windows(self, samples: Sequence[int]) -> Tensor:
        """(N, 2): how much of each picture its image shows around the middle, height and width, in shorter sides."""
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
        """Of the contents, of the labels, and of how pictures become images."""
        parts = [self.channels, self.preprocess, self.task, *(self._keys[place] for place in self._places)]
        labels = [] if self.labels is None else self.labels.tolist()
        return short_hash((parts, labels))

    def training_fingerprint(self) -> str:
        """Likewise, of the training images; empty where there are none."""
        try:
            source, places = self._training_source()
        except ConfigError:  # which `training` tells those who ask for them
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
        """Whether its targets, if it has any, are what networks of a task answer."""
        return isinstance(task, Recognition)

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor | None]:
        """Raises ConfigError where there are none."""
        source, places = self._training_source()
        places = sorted(places, key=lambda place: derive_key("training", source._keys[place]))[:count]
        images = as_levels(source._images(places))
        advance(len(images))
        return images, None if source._is_blind else source._targets_of(places)

    @property
    def evaluated(self) -> Set[str]:
        """The pixels of all pictures to evaluate on, hashed."""
        return {self._pixels[place] for place in self._places}

    def apart_from(self, other: "Pictures") -> "Pictures":
        """The same, without training images that `other` evaluates on."""
        found = copy(self)
        found._barred = self._barred | other.evaluated
        return found

    def for_model(self, model: Model) -> "Pictures":
        """The same pictures as images of the network's size, with its classes.

        Raises ConfigError where they do not fit.
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
        """For each class the output of the network that means it. Raises ConfigError where none does."""
        outputs = model.task.classes if isinstance(model.task, Recognition) else 0
        if self._in_order and outputs == len(self.classes or ()):
            return list(range(outputs))
        return mapping(self.name, self.classes or (), model.name, outputs, model.class_names, self.remedy)

    def _training_source(self) -> tuple["Pictures", list[int]]:
        """The pictures to train on, as images for the same network, without those that are evaluated on."""
        source, places = self._to_train_on()
        taken = self.evaluated | self._barred
        left = [place for place in places if source._pixels[place] not in taken]
        if not left:
            raise ConfigError(f"All training images of {self.name} are among the evaluation images; name others.")
        return source, left

    def _to_train_on(self) -> tuple["Pictures", list[int]]:
        """The data set that training images are in, and which of its pictures they are."""
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
        """What another data set that names this one trains on: as a rule all of it."""
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
        """By what they are called among these classes, or by the network. Where these have none, and the network does
        not say what theirs are, they go without labels, too. Raises ConfigError for a class that is neither.
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
        """As many classes as outputs say nothing here: those of the evaluation images have an order already."""
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
        """For a network of grey images the brightness; for one of colours grey on all channels."""
        if len(image) == self.channels:
            return image
        if len(image) == 1:
            return image.expand(self.channels, -1, -1)
        grey = (image.float() * LUMA).sum(dim=0, keepdim=True)
        return grey.round().to(torch.uint8) if image.dtype == torch.uint8 else grey.clamp(0, 1)

    def _targets_of(self, places: Sequence[int]) -> Tensor | None:
        """What a network should answer to the pictures with these numbers."""
        return self._labels_of(places)

    def _labels_of(self, places: Sequence[int]) -> Tensor | None:
        if self._all_labels is None:
            return None
        labels = torch.tensor([self._all_labels[place] for place in places], dtype=torch.int64)
        return labels if self._order is None else self._order[labels]


def short_hash(value: Any) -> str:
    """Of anything by its repr."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _draw(key: str) -> float:
    """In [0, 1), by the content: what is twice in a folder is on one side."""
    return (derive_key("train_share", key) % 2**32) / 2**32
