"""Draw the picture of the demonstration: a clean and two adversarial images, and the perturbations, amplified.

Where the network answers with maps, these stand between them.
"""

import io
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...core.task import Drawing
from .answers import Answers, Attacked

AMPLIFIED = 50
SIDE, MARGIN, LINE = 336, 16, 22
"""Sizes in pixels: an image's longer side, the space between images, and a line of text."""
INK, PAPER, PALE = "#202020", "white", "#707070"


def sheet(images: Attacked, bare: Answers, maps: Drawing | None, about: list[str]) -> bytes:
    """Return the picture as PNG; `bare` are the network's answers, `about` lines of text for the empty corner."""
    clean, untargeted, targeted = (_picture(x) for x in images[:3])
    changes = [_picture(0.5 + AMPLIFIED * (x - images.clean)) for x in (images.untargeted, images.targeted)]
    width, height = clean.size
    rows = 2 if maps is None else 3
    page = Image.new("RGB", (3 * width + 4 * MARGIN, rows * (height + 2 * LINE) + (rows + 1) * MARGIN), PAPER)
    titles = ("clean", "attacked", f"attacked, towards {images.target}")
    panels = zip((clean, untargeted, targeted), titles, map(str, bare.answers), strict=True)
    for column, (picture, title, answer) in enumerate(panels):
        _panel(page, (column, 0), picture, title, answer)
    if maps is not None:
        for column, answered in enumerate(maps.pictures):
            _panel(page, (column, 1), _resized(Image.fromarray(answered.cpu().numpy())), "answer", "")
    for column, change in enumerate(changes, start=1):
        _panel(page, (column, rows - 1), change, "what was changed", f"times {AMPLIFIED}, grey is nothing")
    corner = MARGIN, (rows - 1) * (height + 2 * LINE + MARGIN) + MARGIN
    _text(page, corner, about, width)
    if maps is not None:
        _legend(page, (corner[0], corner[1] + (len(about) + 2) * LINE), maps.legend)
    file = io.BytesIO()
    page.save(file, "png")
    return file.getvalue()


def _picture(x: Tensor) -> Image.Image:
    """Return an image as a picture of the longer side `SIDE`, a small one enlarged without smoothing."""
    levels = (x[0].clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = levels.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()
    return _resized(Image.fromarray(pixels))


def _resized(picture: Image.Image) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS)


def _panel(page: Image.Image, place: tuple[int, int], picture: Image.Image, title: str, below: str) -> None:
    column, row = place
    left = MARGIN + column * (picture.width + MARGIN)
    top = MARGIN + row * (picture.height + 2 * LINE + MARGIN)
    draw = ImageDraw.Draw(page)
    draw.text((left, top), _cut(draw, title, picture.width), INK, _font())
    page.paste(picture, (left, top + LINE))
    draw.text((left, top + LINE + picture.height + 2), _cut(draw, below, picture.width), PALE, _font())


def _text(page: Image.Image, corner: tuple[int, int], lines: list[str], width: int) -> None:
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        where = (corner[0], corner[1] + (number + 1) * LINE)
        draw.text(where, _cut(draw, line, width), INK if number == 0 else PALE, _font())


def _legend(page: Image.Image, corner: tuple[int, int], legend: Sequence[tuple[str, str]]) -> None:
    """Write a line for each colour of the maps and its meaning."""
    draw = ImageDraw.Draw(page)
    for number, (colour, word) in enumerate(legend):
        left, top = corner[0], corner[1] + number * LINE
        draw.rectangle((left, top, left + LINE - 8, top + LINE - 8), fill=colour, outline=PALE)
        draw.text((left + LINE, top - 2), word, PALE, _font())


def _cut(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """Return the text, shortened with an ellipsis to the width in pixels."""
    if draw.textlength(text, _font()) <= width:
        return text
    while text and draw.textlength(f"{text}…", _font()) > width:
        text = text[:-1]
    return f"{text}…"


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=15)
