"""The pictures of a page: each stored once, and all of them compressed into a given number of bytes."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from ..engine.scoring.example import Picture

_PROBED = 24
"""The number of pictures by which the total size is estimated before all are encoded."""


class _Setting(NamedTuple):
    """The maximal length of the longer side in pixels, and the quality of WebP; None stands for lossless PNG."""

    side: int
    quality: int | None


_LADDER = (
    *(_Setting(160, None), _Setting(160, 90), _Setting(160, 75), _Setting(128, 70), _Setting(112, 55)),
    *(_Setting(96, 45), _Setting(80, 40), _Setting(64, 35), _Setting(48, 30)),
)
"""The encoding settings, from the best to the smallest."""


class Encoded(NamedTuple):
    """A picture as a data URI, with its width and height in pixels before encoding."""

    uri: str
    width: int
    height: int


class Album:
    """A collection of pictures; pictures with equal pixels share a name."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[int, ...], bytes], str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, picture: Picture) -> str:
        key = picture.shape, picture.tobytes()
        return self._names.setdefault(key, f"p{len(self._names)}")

    def encoded(self, budget: int) -> Mapping[str, Encoded]:
        """Return the pictures by name, in the best setting of which all fit into `budget` bytes.

        If they do not fit in the smallest setting either, the last ones are left out; all of them if the budget is
        negative.
        """
        images = {name: _image(shape, pixels) for (shape, pixels), name in self._names.items()}
        probed = list(images.values())[:: max(1, len(images) // _PROBED)]
        found: dict[str, Encoded] = {}
        for setting in _LADDER:
            each = sum(len(_encode(image, setting)) for image in probed) / max(1, len(probed))
            if each * len(images) > budget and setting != _LADDER[-1]:
                continue
            found = {name: Encoded(_encode(image, setting), *image.size) for name, image in images.items()}
            if _size(found) <= budget:
                return found
        size = _size(found)
        while found and size > budget:
            size -= len(found.popitem()[1].uri)
        return found


def _size(found: Mapping[str, Encoded]) -> int:
    return sum(len(one.uri) for one in found.values())


def _image(shape: Sequence[int], pixels: bytes) -> Image.Image:
    height, width, channels = shape
    return Image.frombytes("L" if channels == 1 else "RGB", (width, height), pixels)


def _encode(image: Image.Image, setting: _Setting) -> str:
    """Return an image as a data URI."""
    scale = setting.side / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BOX)
    file = io.BytesIO()
    if setting.quality is None:
        image.save(file, "PNG", optimize=True)
    else:
        image.convert("RGB").save(file, "WEBP", quality=setting.quality, method=4)
    kind = "png" if setting.quality is None else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
