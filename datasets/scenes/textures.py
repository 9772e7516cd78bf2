"""Photographic textures: the photographs that scikit-image installs, and random patches cut from them."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

PHOTOGRAPHS = {
    "astronaut": "NASA, public domain",
    "brick": "CC0, cc0textures.com",
    "camera": "CC0, Lav Varshney",
    "cell": "CC0, a quantitative phase image from a comparison with qpformat",
    "chelsea": "CC0, Stefan van der Walt",
    "coffee": "CC0, Rachel Michetti",
    "coins": "no known copyright restrictions, Brooklyn Museum",
    "grass": "CC0, linolafett, DeviantArt",
    "gravel": "CC0, cc0textures.com",
    "hubble_deep_field": "NASA, public domain",
    "immunohistochemistry": "no known copyright restrictions, Center for Microscopy And Molecular Imaging",
    "moon": "scikit-image states no origin or licence",
    "retina": "CC0, Mikael Haggstrom, Wikimedia Commons",
    "rocket": "public domain, SpaceX",
}
"""Name of each photograph in `skimage.data` -> licence and origin, as scikit-image documents them."""

PATCH = 128


@cache
def photograph(name: str) -> NDArray[np.floating]:
    """One photograph as (H, W, 3) in [0, 1]; grey ones are repeated over the channels."""
    from skimage import data

    image = np.asarray(getattr(data, name)(), np.float32) / 255
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


CONTRAST = 0.11  # largest standard deviation within a patch


def random_patch(rng: np.random.Generator) -> NDArray[np.floating]:
    """A (128, 128, 3) patch in [0, 1]: a random crop of a random photograph, recoloured towards a random tint."""
    image = photograph(str(rng.choice(list(PHOTOGRAPHS))))
    side = int(rng.integers(96, 288))
    top, left = (int(rng.integers(0, size - side + 1)) for size in image.shape[:2])
    patch = cv2.resize(image[top : top + side, left : left + side], (PATCH, PATCH), interpolation=cv2.INTER_AREA)
    spread = patch.std() + 0.05
    patch = 0.5 + (patch - patch.mean()) * min(
        CONTRAST / spread, 2.0
    )  # every surface is lit alike and keeps its structure
    tint = rng.uniform(0.4, 1.0, size=3)
    return np.clip(patch * tint * 1.4, 0, 1).astype(np.float32)
