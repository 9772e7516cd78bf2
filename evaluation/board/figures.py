"""The charts of a board as image files for a paper."""

import io
import re
from collections.abc import Iterator
from itertools import chain, count
from typing import Literal

from .board import Board
from .charts import Chart, heat_chart, slopes, tradeoffs
from .curves import curve_charts
from .drawing import styled
from .heat import crossings, heatmap, transfers
from .layers import layer_charts
from .roc import roc_charts
from .sweeps import sweep_charts

FOLDER = "figures"
DPI = 300
_LONGEST = 80
"""The maximal length of a file name without its suffix."""


def figures(board: Board, kind: Literal["png", "svg"]) -> Iterator[tuple[str, bytes]]:
    """Yield the file name and content of each chart."""
    taken: set[str] = set()
    for what, chart in _charts(board):
        stem = re.sub(r"[^A-Za-z0-9.]+", "-", f"{what}-{chart.title}")[:_LONGEST].strip("-.")
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        file = io.BytesIO()
        with styled():
            chart.figure.savefig(file, format=kind, dpi=DPI, facecolor="white", metadata=_METADATA[kind])
        yield f"{name}.{kind}", file.getvalue()


_METADATA = {"png": {"Software": None}, "svg": {"Date": None}}
"""Metadata without dates and versions, so that equal figures give equal files."""


def _charts(board: Board) -> Iterator[tuple[str, Chart]]:
    for part in board.parts:
        yield from (("tradeoff", chart) for chart in tradeoffs(part))
        yield from (("knowing", chart) for chart in slopes(part))
        yield from (("budgets", chart) for chart in curve_charts(part, "eps"))
        yield from (("sweep", chart) for chart in sweep_charts(part))
        yield from (("roc", chart) for chart in roc_charts(part))
        yield from (("layers", chart) for chart in layer_charts(part))
        yield from (("queries", chart) for chart in curve_charts(part, "queries"))
        if heat := heatmap(part):
            yield "heatmap", heat_chart(heat)
        yield from (("crossing", heat_chart(heat)) for heat in crossings(part))
    yield from (("transfer", heat_chart(heat)) for heat in transfers(board.parts))
