"""Data sets from a torch Dataset of (image, map): integer maps are segmentation classes, float maps are depths."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.errors import ConfigError, InputError
from ...core.fitting import fit_map, shown_of_map
from ...core.foreign import foreign
from ...core.model import Model
from ...core.preprocess import Preprocess
from ...core.task import Task
from ...tasks.depth import Depth
from ...tasks.segmentation import VOID, Segmentation
from .arrays import as_image, as_picture, resized
from .base import Pictures
from .contents import pixel_hash


def is_map(target: Any) -> bool:
    """Return whether a target is a map, with one value per pixel, rather than one value for the image."""
    return isinstance(target, Image.Image) or getattr(target, "ndim", 0) >= 2


class TorchMaps(Pictures):
    """Segmentation or depth data from `items`, a torch Dataset of (image, map).

    The Dataset is read once to hash its content, and again when images are needed, always in the calling thread. Class
    maps hold 0, 1, 2, ... and 255 for void, as PIL pictures with a palette, arrays or tensors; depth maps hold floats,
    0 where the depth is unknown. A map has the size of its image. Raises ConfigError for invalid items.
    """

    workers = 1  # the Dataset may not be thread-safe
    fits_already = True

    def __init__(self, name: str, items: Any, *, train: str | None = None, train_share: float = 0.0) -> None:
        self.name, self._items = name, items
        image, values = self._item(0)
        self.channels, *size = image.shape
        self._kind = values.dtype
        keys, pixels, most = [], [], 0
        for place in range(len(items)):
            image, values = self._item(place)
            if values.dtype != self._kind:
                raise ConfigError(f"Expected classes with every image of {name} or depths, got both (item {place}).")
            content = image.numpy().tobytes() + values.tobytes() + repr(image.shape).encode()
            keys.append(hashlib.sha256(content).hexdigest())
            pixels.append(pixel_hash(as_picture(image)))
            most = max(most, int(values[values != VOID].max(initial=0)))
        preprocess = Preprocess(size=(size[0], size[1]), resize=min(size))
        super().__init__(name, keys, pixels, None, None, preprocess=preprocess, train=train, train_share=train_share)
        self.task: Task = Segmentation(classes=max(2, most + 1)) if self._kind == np.uint8 else Depth()

    def image(self, place: int) -> Tensor:
        image, _ = self._item(place)
        return image if tuple(image.shape[1:]) == self.preprocess.size else resized(image, self.preprocess)

    def picture_size(self, place: int) -> tuple[int, int]:
        _, height, width = self._item(place)[0].shape
        return height, width

    def for_model(self, model: Model) -> Pictures:
        """Return a copy fitted to the network's input.

        Raises ConfigError for a network of another task, or with fewer classes than the maps have.
        """
        if not self.suits(model.task):
            raise ConfigError(f"{model.name} does {model.task}, the maps of {self.name} are for {self.task}.")
        return super().for_model(model)

    def suits(self, task: Task) -> bool:
        mine = self.task
        lacking = isinstance(mine, Segmentation) and isinstance(task, Segmentation) and mine.classes > task.classes
        return type(mine) is type(task) and not lacking

    def _targets_of(self, places: Sequence[int]) -> Tensor:
        return torch.stack([self._map(place) for place in places])

    def truths(self, samples: Sequence[int]) -> list[Tensor]:
        """Return the part of each map that its image shows, in the pixels of the map."""
        return [self._map(self._places[sample], shown_of_map) for sample in samples]

    def _map(self, place: int, fitted: Callable[..., Tensor] = fit_map) -> Tensor:
        """Return the map, fitted as its image is, or as `fitted` does; one that has the input size is not changed."""
        _, values = self._item(place)
        height, width = values.shape
        fits = (height, width) == self.preprocess.size
        preprocess = Preprocess(size=(height, width)) if fits else self.preprocess
        if self._kind != np.uint8:
            return fitted(values, preprocess)
        return fitted(values, preprocess, void=VOID).long()

    def _item(self, place: int) -> tuple[Tensor, np.ndarray]:
        """Return image and map; raises ConfigError, with the item's number, if they are invalid or differ in size."""
        what = f"Item {place} of {self.name}"
        try:
            with foreign(what):
                image, target = self._items[place][:2]
            return (image := as_image(image)), _as_map(target, tuple(image.shape[1:]))
        except InputError as error:
            raise ConfigError(f"{what}: {error}") from None


def _as_map(given: Any, size: tuple[int, ...]) -> np.ndarray:
    """Return a map as uint8 classes or float32 depths, (H, W); raises InputError for anything else."""
    if isinstance(given, Tensor):
        given = given.detach().cpu()
        given = (given.float() if given.is_floating_point() else given).numpy()  # NumPy knows no bfloat16
    values = np.asarray(given)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.reshape(size) if values.size == size[0] * size[1] else values
    if values.shape != size:
        raise InputError(f"Expected a map of the image's size {size}, got one of {values.shape}.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < 0:
            raise InputError("Expected finite depths from 0 on, 0 where nobody knows, got others.")
        return values.astype(np.float32)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > VOID:
        raise InputError(
            f"Expected classes 0..{VOID - 1}, {VOID} for void, or depths as floats, got {values.dtype} from "
            f"{values.min()} to {values.max()}; make other labels of void, such as -1, {VOID}."
        )
    return values.astype(np.uint8)
