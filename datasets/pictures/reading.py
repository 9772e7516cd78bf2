"""A file as people see it: upright, in colours, eight bits a channel."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ...core.errors import InputError, one_line
from ...core.words import counted

SUFFIXES = frozenset(
    [
        *(".jpeg", ".jpg", ".jpe", ".jfif", ".jp2", ".png", ".gif", ".webp", ".avif"),
        *(".bmp", ".ppm", ".pgm", ".tif", ".tiff"),
    ]
)
_PILLOW = re.compile(r"PIL\.")
MOST_PIXELS = 2**28
"""Of one picture: decoding it takes a gigabyte."""


def read_picture(path: Path) -> Image.Image:
    """RGB. Raises InputError, with the path and the reason, for what is no picture or damaged."""
    try:
        return decode(path.read_bytes())
    except Exception as error:  # noqa: BLE001 (each of Pillow's decoders has its own)
        raise InputError(f"{path} cannot be read as a picture: {reason(error)}.") from None


def reason(error: Exception) -> str:
    """Why something cannot be read as a picture: our own words, or a decoder's."""
    return str(error).rstrip(".") if isinstance(error, InputError) else one_line(error)


def size_of(path: Path) -> tuple[int, int]:
    """(height, width), as `read_picture` gives it, of a picture that can be read. Its pixels are not looked at."""
    _ignore_warnings()
    with Image.open(path) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (width, height) if turned else (height, width)


def decode(content: bytes) -> Image.Image:
    """Turned as its EXIF says, transparency on white, of 16 bits the upper eight, of an animation the first frame."""
    return to_rgb(upright(content))


def upright(content: bytes) -> Image.Image:
    """Of any mode, turned as its EXIF says; of an animation the first frame."""
    _ignore_warnings()
    try:
        picture = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:  # it would name an object in memory
        raise InputError(f"a file of {counted(len(content), 'byte')}, of no kind that Pillow knows") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise InputError(f"it has {picture.width} x {picture.height} pixels; make it smaller.")
    picture.load()
    return ImageOps.exif_transpose(picture)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Raises InputError for pixels of unknown meaning."""
    if picture.mode == "F":
        raise InputError("its pixels are floating-point numbers of unknown range; save it with 8 or 16 bits.")
    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise InputError("its pixels have 32 bits of unknown range; save it with 8 or 16 bits.")
        return Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")
    if _has_alpha(picture):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def opaque(picture: Image.Image) -> Image.Image:
    """RGB without its transparency, as most programs read it: by that a picture is known wherever it lies."""
    return picture.convert("RGBA").convert("RGB") if _has_alpha(picture) else to_rgb(picture)


def _has_alpha(picture: Image.Image) -> bool:
    return "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info


def _ignore_warnings() -> None:
    """Of Pillow, about large pictures and odd EXIF: what cannot be decoded raises.

    For good, and for Pillow alone: `catch_warnings` is not for several threads, and each decodes. Only where no filter
    has come before it since, for every change lets warnings of others be told again.
    """
    if not warnings.filters or warnings.filters[0][3] != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)
