"""Base class of data sets of pictures with ground truth maps, the pictures fitted to a network's input size."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.dataset import Advance
from ...core.errors import ConfigError, InputError
from ...core.fitting import fit, fit_map, shown_of_map
from ...core.model import Model
from ...core.seeding import derive_key
from ...core.task import Task
from ..pictures.base import Pictures, short_hash
from ..pictures.contents import contents
from ..pictures.reading import read_picture, size_of


class Pair(NamedTuple):
    """A picture file, its name in the data set, and the file that its map is read from."""

    name: str
    picture: Path
    truth: Path


class MapPictures(Pictures):
    """Base class of data sets of pictures with maps; `pairs` are the evaluation samples, in their order.

    Training images are other pairs of the data set. For attacks and training, maps are fitted as their pictures are,
    but by nearest neighbours; predictions are scored against the maps in their own size. Raises ConfigError without
    pairs, and for unreadable files.
    """

    def __init__(self, name: str, root: Path, pairs: Sequence[Pair], task: Task) -> None:
        if not pairs:
            raise ConfigError(f"Expected pictures with maps in {name}, got none.")
        self._pairs, self._folder = pairs, root
        super().__init__(name, *self._hashes(pairs), None, None)
        self.task = task

    void = 0
    """Value of map pixels that are not evaluated."""

    @abstractmethod
    def values(self, pair: Pair) -> NDArray[Any]:
        """Read the map (H, W) of one picture, uint8 or float32, not resized; raises InputError for invalid files."""

    def truth(self, pair: Pair, fitted: Callable[..., Tensor] = fit_map) -> Tensor:
        """Return the map (H, W) of one picture, int64 or float32, fitted as the picture is, or as `fitted` does.

        Raises InputError if map and picture differ in size.
        """
        values = self.values(pair)
        height, width = size_of(pair.picture)
        if values.shape != (height, width):
            raise InputError(
                f"Expected a map of {height} x {width} pixels for {pair.picture}, got one of "
                f"{' x '.join(map(str, values.shape))} from {pair.truth}; they are not of one picture."
            )
        found = fitted(values, self.preprocess, void=self.void)
        return found if found.is_floating_point() else found.long()

    def truths(self, samples: Sequence[int]) -> list[Tensor]:
        """Return the part of each map that its image shows, in the pixels of the map."""
        return [self.truth(self._pairs[self._places[sample]], shown_of_map) for sample in samples]

    def made_from(self, pair: Pair) -> Sequence[Path]:
        """Return the files that the map of one picture is made from."""
        return [pair.truth]

    @abstractmethod
    def training_pairs(self) -> Sequence[Pair]:
        """Return the pairs that are not evaluation samples; raises ConfigError if there are none."""

    def image(self, place: int) -> Tensor:
        return self._picture(self._pairs[place])

    def picture_size(self, place: int) -> tuple[int, int]:
        return size_of(self._pairs[place].picture)

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor]:
        pairs = sorted(self._left(), key=lambda pair: derive_key("training", pair.name))[:count]
        images = torch.stack([self._as_channels(self._picture(pair)) for pair in pairs]).contiguous()
        advance(len(images))
        return images, torch.stack([self.truth(pair) for pair in pairs])

    def for_others(self) -> Pictures:
        """Return its training pictures only: its evaluation pictures are never used for training."""
        found = copy(self)
        found._pairs = self.training_pairs()
        found._keys, found._pixels = self._hashes(found._pairs)
        found._places = list(range(len(found._pairs)))
        return found

    def suits(self, task: Task) -> bool:
        return type(self.task) is type(task) and getattr(self.task, "classes", None) == getattr(task, "classes", None)

    def training_fingerprint(self) -> str:
        try:
            pairs = sorted(self._left())
        except ConfigError:  # `training` raises it for whoever needs the images
            return ""
        pictures = [content.sha256 for content in contents(self._folder, [pair.picture for pair in pairs])]
        known = [pair.name for pair in pairs], pictures, self._truths(pairs)
        return short_hash((self.channels, self.preprocess, self.task, known))

    def for_model(self, model: Model) -> Pictures:
        """Return a copy fitted to the network; raises ConfigError for one with another task or number of classes."""
        if not self.suits(model.task):
            raise ConfigError(f"{model.name} does {model.task}, the images of {self.name} are for {self.task}.")
        return super().for_model(model)

    def _left(self) -> list[Pair]:
        """Return the training pairs whose pictures are not evaluated under another name; ConfigError if none."""
        pairs, taken = self.training_pairs(), self.evaluated | self._barred
        known = contents(self._folder, [pair.picture for pair in pairs])
        left = [pair for pair, content in zip(pairs, known, strict=True) if content.pixels not in taken]
        if not left:
            raise ConfigError(f"All training images of {self.name} are among the evaluation images; name others.")
        return left

    def _hashes(self, pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
        """Return hashes of each pair and of each picture's pixels; raises ConfigError for an unreadable file."""
        pictures = contents(self._folder, [pair.picture for pair in pairs])
        for pair, content in zip(pairs, pictures, strict=True):
            if content.problem:
                raise ConfigError(f"{pair.picture} cannot be read as a picture: {content.problem}; mend it.")
        both = zip(pictures, self._truths(pairs), strict=True)
        keys = [hashlib.sha256((content.sha256 + truth).encode()).hexdigest() for content, truth in both]
        return keys, [content.pixels for content in pictures]

    def _truths(self, pairs: Sequence[Pair]) -> list[str]:
        """Return, for each pair, the hashes of the files of its map; raises ConfigError for an unreadable file."""
        files = list(dict.fromkeys(file for pair in pairs for file in self.made_from(pair)))
        known = dict(zip(files, contents(self._folder, files, pictures=False), strict=True))
        for file, content in known.items():
            if content.problem:
                raise ConfigError(f"{file} cannot be read: {content.problem}; mend it.")
        return ["".join(known[file].sha256 for file in self.made_from(pair)) for pair in pairs]

    def _targets_of(self, places: Sequence[int]) -> Tensor:
        return torch.stack([self.truth(self._pairs[place]) for place in places])

    def _picture(self, pair: Pair) -> Tensor:
        return fit(read_picture(pair.picture), self.preprocess)
