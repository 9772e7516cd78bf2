"""Matplotlib helpers: figures without global state, labels that do not overlap, and SVG for an HTML page."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and shown in the page's font
    "svg.hashsalt": "foolbench",  # the same element ids at every call
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.linewidth": 0.6,
    "axes.unicode_minus": False,
}
_NO_TEXT = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARED = re.compile(r"\b(id=\"|href=\"#|url\(#)")


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours of text, of frames and leader lines, and of attackers who know a defense or do not."""

    ink: str = "#1b1b1f"
    pale: str = "#8a8a94"
    knowing: str = "#b3261e"
    oblivious: str = "#2f6690"


PAPER = Palette()
PAGE = Palette(ink="#010101", pale="#010102", knowing="#010103", oblivious="#010104")
"""Placeholders that `svg` replaces by the page's CSS variables, whose colours differ in dark mode."""
_VARIABLES = {"#010101": "--ink", "#010102": "--pale", "#010103": "--knowing", "#010104": "--oblivious"}


@contextmanager
def styled() -> Iterator[None]:
    """Apply this module's style while figures are made and saved; characters missing from the font give no warning."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def canvas(width: float, height: float, palette: Palette) -> tuple[Figure, Axes]:
    """Return a figure of this size in inches, with one pair of axes and a transparent background."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.pale)
    axes.tick_params(colors=palette.ink, width=0.6)
    for name in (axes.xaxis.label, axes.yaxis.label):
        name.set_color(palette.ink)
    return figure, axes


def name_beside(
    figure: Figure, axes: Axes, x: float, names: Sequence[str], ends: Sequence[tuple[float, float]], palette: Palette
) -> None:
    """Write a name for each point of `ends` at the position `x`, one below the other, with a line to its point."""
    low, high = axes.get_ylim()
    room = figure.get_figheight() * 72 * 0.8  # in points; a line of text takes 10
    places = spread([y for _, y in ends], 10.5 / room * (high - low), low, high)
    for name, (left, y), place in zip(names, ends, places, strict=True):
        axes.annotate(
            harmless(name),
            xy=(left, y),
            xytext=(x, place),
            va="center",
            annotation_clip=False,
            color=palette.ink,
            fontsize=8,
            arrowprops={
                "arrowstyle": "-",
                "color": palette.pale,
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 3,
            },
        )


def spread(values: Sequence[float], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Return positions as near to the values as possible, in their order and at least `gap` apart.

    They lie in [low, high] if they fit. Neighbours that are too near move together to their mean.
    """
    order, steps = np.argsort(values, kind="stable"), gap * np.arange(len(values))
    starts = isotonic_regression(np.asarray(values, dtype=float)[order] - steps).x if len(values) else steps
    top = high - gap * (len(values) - 1)
    placed = np.clip(starts, min(low, top), max(low, top)) + steps
    found = np.empty(len(values))
    found[order] = placed
    return found


def svg(figure: Figure, *, name: str) -> str:
    """Return a figure as an <svg> element for a page.

    Ids are prefixed with `name`, so that no two figures share one, and the colours of `PAGE` become CSS variables.
    """
    file = io.StringIO()
    with styled():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    element = text[text.index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        element = element.replace(colour, f"var({variable})")
    return _DECLARED.sub(rf"\g<1>{name}-", element).strip()


def harmless(text: str) -> str:
    """Return the text on one line, with characters that XML forbids replaced."""
    return " ".join(_NO_TEXT.sub("\ufffd", text).split())
