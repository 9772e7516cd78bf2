"""Textures of the scenes: patches cut from the photographs that scikit-image installs."""

from collections.abc import Sequence
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
"""Licence and origin of each photograph in `skimage.data`, as documented by scikit-image."""

MATERIALS = {
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
    "coins": "coins",
    "tissue": "immunohistochemistry",
}
"""Photograph that each material is cut from, in the order of labels."""

PATCH = 128
CONTRAST = 0.17  # standard deviation within a patch of a material
QUIET = 0.09  # standard deviation within a patch of floor or wall
SIDES = (128, 256)  # range of the side of the crop that a patch is made from, in pixels of the photograph


@cache
def photograph(name: str) -> NDArray[np.floating]:
    """Return a photograph as float32 (H, W, 3) in [0, 1]; grey ones are repeated over the channels."""
    from skimage import data

    image = np.asarray(getattr(data, name)(), np.float32) / 255
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


BACKGROUNDS = tuple(name for name in PHOTOGRAPHS if name not in MATERIALS.values())


def random_patch(photographs: Sequence[str], contrast: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Return a patch (128, 128, 3) in [0, 1]: a random crop of one of the photographs, rotated and tinted at random.

    All patches have about the same mean, so that it does not reveal the material; `contrast` is their approximate
    standard deviation.
    """
    image = photograph(photographs[int(rng.integers(len(photographs)))])
    side = int(rng.integers(*SIDES))
    top, left = (int(rng.integers(0, size - side + 1)) for size in image.shape[:2])
    patch = cv2.resize(image[top : top + side, left : left + side], (PATCH, PATCH), interpolation=cv2.INTER_AREA)
    patch = np.rot90(patch, int(rng.integers(4)))
    patch = (patch - patch.mean()) * min(contrast / (patch.std() + 0.02), 3.0)
    tint = rng.uniform(0.65, 1.0, size=3)
    return np.clip((0.5 + patch) * tint, 0, 1).astype(np.float32)
