"""Read a picture file as people see it: upright, in RGB, with eight bits per channel."""

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
"""Largest number of pixels of a picture, whose decoding takes a gigabyte."""


def read_picture(path: Path) -> Image.Image:
    """Read a file as an RGB picture; raises InputError, with path and reason, if it is damaged or not a picture."""
    try:
        return decode(path.read_bytes())
    except Exception as error:  # noqa: BLE001 (each of Pillow's decoders has errors of its own)
        raise InputError(f"{path} cannot be read as a picture: {reason(error)}.") from None


def reason(error: Exception) -> str:
    """Return why something cannot be read as a picture, from our own InputError or a decoder's error."""
    return str(error).rstrip(".") if isinstance(error, InputError) else one_line(error)


def size_of(path: Path) -> tuple[int, int]:
    """Return the (height, width) that `read_picture` gives for a readable file, without decoding its pixels."""
    _ignore_warnings()
    with Image.open(path) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (width, height) if turned else (height, width)


def decode(content: bytes) -> Image.Image:
    """Decode a picture to RGB: EXIF orientation applied, transparency on white, upper 8 of 16 bits, first frame."""
    return to_rgb(upright(content))


def upright(content: bytes) -> Image.Image:
    """Decode the first frame in its own mode, with EXIF orientation; raises InputError if unknown or too large."""
    _ignore_warnings()
    try:
        picture = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:  # whose message names an object in memory
        raise InputError(f"a file of {counted(len(content), 'byte')}, of no kind that Pillow knows") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise InputError(f"it has {picture.width} x {picture.height} pixels; make it smaller.")
    picture.load()
    return ImageOps.exif_transpose(picture)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Convert a picture to RGB, with transparency on white; raises InputError for pixels of unknown range."""
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
    """Convert a picture to RGB, ignoring transparency as most programs do, for its `pixel_hash`."""
    return picture.convert("RGBA").convert("RGB") if _has_alpha(picture) else to_rgb(picture)


def _has_alpha(picture: Image.Image) -> bool:
    return "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info


def _ignore_warnings() -> None:
    """Ignore Pillow's warnings about large pictures and odd EXIF: what cannot be decoded raises an error anyway.

    The filter is permanent, and for Pillow only: `catch_warnings` is not thread-safe, and several threads decode. It is
    only added if it is not the first one: every change of filters makes Python repeat other warnings.
    """
    if not warnings.filters or warnings.filters[0][3] != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)
