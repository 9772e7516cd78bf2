"""How a network expects a picture to be resized and cropped to an image of its size."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Resizing and cropping: the shorter side becomes `resize` pixels, the middle is cut to `size` (height, width).

    Without `resize` there is only the crop. With `crop = "squash"` a picture of any shape is first resized to the shape
    of `size`, with a shorter side of `resize`; without `resize` it is resized to `size`, and nothing is cut.
    """

    size: tuple[int, int]
    resize: int | None = None
    interpolation: str = "bilinear"
    crop: str = "center"

    @property
    def squashed(self) -> tuple[int, int]:
        """The (height, width) to which `crop = "squash"` resizes."""
        if self.resize is None:
            return self.size
        height, width = (math.floor(self.resize * side / min(self.size)) for side in self.size)
        return height, width
