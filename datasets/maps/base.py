"""Pictures of any size with a map of the truth for each, as the images and maps of a network's size."""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence, Set
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.dataset import Advance
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.seeding import derive_key
from ...core.task import Task
from ..pictures.base import Pictures, short_hash
from ..pictures.contents import Content, contents
from ..pictures.fitting import fit
from ..pictures.reading import read_picture


class Pair(NamedTuple):
    """A picture, what it is called, and the file that its map is read from."""

    name: str
    picture: Path
    truth: Path


class MapPictures(Pictures):
    """Evaluation samples are `pairs`, in their order, training images others of the data set. Maps are fitted as their
    pictures are, without a value between two: what counts is the map at the size of the network's input.
    """

    def __init__(self, name: str, root: Path, pairs: Sequence[Pair], task: Task) -> None:
        if not pairs:
            raise ConfigError(f"Expected pictures with maps in {name}, got none.")
        self._pairs, self._folder = pairs, root
        count = len(pairs)
        known = _contents(root, pairs)
        for pair, content in zip(pairs, known[:count], strict=True):
            if content.problem:
                raise ConfigError(f"{pair.picture} cannot be read as a picture: {content.problem}; mend it.")
        self._pictures = frozenset(content.sha256 for content in known[:count])
        both = zip(known[:count], known[count:], strict=True)
        keys = [hashlib.sha256((one.sha256 + two.sha256).encode()).hexdigest() for one, two in both]
        super().__init__(name, keys, None, None)
        self.task = task

    @abstractmethod
    def truth(self, pair: Pair) -> Tensor:
        """The map of one picture, (H, W), fitted by `self.preprocess`. Raises InputError for a file that is none."""

    @abstractmethod
    def training_pairs(self) -> Sequence[Pair]:
        """Those that are no evaluation samples. Raises ConfigError where there are none."""

    @property
    def evaluated(self) -> Set[str]:
        """Of the pictures alone, for which others may have other maps."""
        return self._pictures

    def image(self, place: int) -> Tensor:
        return self._picture(self._pairs[place])

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor]:
        pairs = sorted(self._left(), key=lambda pair: derive_key("training", pair.name))[:count]
        images = torch.stack([self._picture(pair) for pair in pairs])
        advance(len(images))
        return images, torch.stack([self.truth(pair) for pair in pairs])

    def training_fingerprint(self) -> str:
        try:
            pairs = sorted(self._left())
        except ConfigError:  # which `training` tells those who ask for them
            return ""
        known = [pair.name for pair in pairs], [content.sha256 for content in _contents(self._folder, pairs)]
        return short_hash((self.preprocess, self.task, known))

    def for_model(self, model: Model) -> Pictures:
        """Raises ConfigError for a network of another task, or of other classes."""
        mine, theirs = self.task, model.task
        if type(mine) is not type(theirs) or getattr(mine, "classes", None) != getattr(theirs, "classes", None):
            raise ConfigError(f"{model.name} does {theirs}, the images of {self.name} are for {mine}.")
        return super().for_model(model)

    def _left(self) -> list[Pair]:
        """Those to train on whose picture is evaluated under no other name either. Raises ConfigError for none."""
        pairs, taken = self.training_pairs(), self.evaluated | self._barred
        known = contents(self._folder, [pair.picture for pair in pairs])
        left = [pair for pair, content in zip(pairs, known, strict=True) if content.sha256 not in taken]
        if not left:
            raise ConfigError(f"All training images of {self.name} are among the evaluation images; name others.")
        return left

    def _targets_of(self, places: Sequence[int]) -> Tensor:
        return torch.stack([self.truth(self._pairs[place]) for place in places])

    def _picture(self, pair: Pair) -> Tensor:
        return fit(read_picture(pair.picture), self.preprocess)


def _contents(root: Path, pairs: Sequence[Pair]) -> list[Content]:
    """Of all pictures, then of all maps."""
    return contents(root, [pair.picture for pair in pairs] + [pair.truth for pair in pairs])
