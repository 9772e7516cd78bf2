"""What a network expects to be done to a picture before it becomes an image of the network's size."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """The shorter side becomes `resize` pixels, then `size` (height, width) is cut out of the middle.

    Without `resize` nothing but the cut is done. `crop = "squash"` resizes to `size` whatever the picture's shape.
    """

    size: tuple[int, int]
    resize: int | None = None
    interpolation: str = "bilinear"
    crop: str = "center"
