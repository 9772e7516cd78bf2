"""What a network expects to be done to a picture before it becomes an image of the network's size."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """The shorter side becomes `resize` pixels, then `size` (height, width) is cut out of the middle.

    Without `resize` nothing but the cut is done. With `crop = "squash"` a picture of any shape becomes one of the shape
    of `size`, whose shorter side is `resize` before the cut; without `resize` nothing is cut.
    """

    size: tuple[int, int]
    resize: int | None = None
    interpolation: str = "bilinear"
    crop: str = "center"

    @property
    def squashed(self) -> tuple[int, int]:
        """(height, width) to which `crop = "squash"` resizes."""
        if self.resize is None:
            return self.size
        height, width = (math.floor(self.resize * side / min(self.size)) for side in self.size)
        return height, width
