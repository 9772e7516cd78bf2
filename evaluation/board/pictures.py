"""Pictures for a page: each once, however many rows show it, and all of them within so many bytes."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from ..engine.scoring.example import Picture

_PROBED = 24
"""Of so many the size is tried before all are encoded."""


class _Setting(NamedTuple):
    """Pixels of the longer side at most, and WebP's quality; None is PNG, which loses nothing."""

    side: int
    quality: int | None


_LADDER = (
    *(_Setting(160, None), _Setting(160, 90), _Setting(160, 75), _Setting(128, 70), _Setting(112, 55)),
    *(_Setting(96, 45), _Setting(80, 40), _Setting(64, 35), _Setting(48, 30)),
)
"""From the best on."""


class Encoded(NamedTuple):
    """A data URI, and how many pixels the picture had before it was encoded."""

    uri: str
    width: int
    height: int


class Album:
    """Pictures get names, the same for the same pixels."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[int, ...], bytes], str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, picture: Picture) -> str:
        key = picture.shape, picture.tobytes()
        return self._names.setdefault(key, f"p{len(self._names)}")

    def encoded(self, budget: int) -> Mapping[str, Encoded]:
        """By name, as well as so many bytes allow. Those that no longer fit, of very many, are left out: all of them
        where the budget is below zero.
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
    """As a data URI."""
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
