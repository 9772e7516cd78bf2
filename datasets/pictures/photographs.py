"""Unlabelled crops of 224 x 224 pixels of the photographs that scikit-image and scikit-learn install.

There are few photographs, and crops of the same one depend on each other: confidence intervals treat each photograph as
a cluster.
"""

import hashlib
from collections.abc import Set
from functools import cached_property

import numpy as np
from PIL import Image
from torch import Tensor

from ...core.fitting import fit
from ...core.preprocess import Preprocess
from ...core.registry import register_dataset
from ...core.seeding import derive_key
from ..scenes.textures import PHOTOGRAPHS, photograph
from .base import Pictures
from .contents import pixel_hash

CROPS = 12
"""Number of crops of each photograph."""
LEFT_OUT = ("cell", "immunohistochemistry", "moon", "retina", "hubble_deep_field")
"""Images from microscopes, telescopes and the like, which networks trained on photographs do not know."""


@register_dataset("photographs")
class PhotographCrops(Pictures):
    """Unlabelled crops of a few photographs, for a first look at networks trained on photographs.

    `train_share` holds out whole photographs, with all their crops.
    """

    def __init__(self, *, train: str | None = None, train_share: float = 0.0) -> None:
        self._names = [name for name in PHOTOGRAPHS if name not in LEFT_OUT] + ["china", "flower"]
        keys = [
            hashlib.sha256(self._photographs[name].tobytes() + bytes([crop])).hexdigest()
            for name in self._names
            for crop in range(CROPS)
        ]
        super().__init__(
            "photographs",
            keys,
            [pixel_hash(self._picture(place)) for place in range(len(keys))],
            None,
            None,
            preprocess=Preprocess(size=(224, 224), resize=224),
            clusters=[place // CROPS for place in range(len(keys))],
            train=train,
            train_share=train_share,
        )

    @cached_property
    def _photographs(self) -> dict[str, np.ndarray]:
        return {name: _levels(name) for name in self._names}

    def photographs_shown(self) -> Set[str]:
        return {self._names[place // CROPS] for place in self._places}

    def training_fingerprint(self) -> str:
        """Return "" for held-out crops of its own, which code and packages determine; else the hash of `train`."""
        return "" if self._train is None else super().training_fingerprint()

    def image(self, place: int) -> Tensor:
        return fit(self._picture(place), self.preprocess)

    def picture_size(self, place: int) -> tuple[int, int]:
        picture = self._picture(place)
        return picture.height, picture.width

    def _picture(self, place: int) -> Image.Image:
        return Image.fromarray(_crop(self._photographs[self._names[place // CROPS]], place))


def _levels(name: str) -> np.ndarray:
    if name in PHOTOGRAPHS:
        return (photograph(name) * 255).round().astype(np.uint8)
    from sklearn.datasets import load_sample_image

    return np.asarray(load_sample_image(f"{name}.jpg"))


def _crop(picture: np.ndarray, place: int) -> np.ndarray:
    """Cut out a square of 55 to 95 percent of the shorter side, at a random position."""
    draws = np.random.default_rng(derive_key("photographs", place) % 2**63)
    side = int(min(picture.shape[:2]) * draws.uniform(0.55, 0.95))
    top, left = (int(draws.integers(0, size - side + 1)) for size in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + side, left : left + side])
