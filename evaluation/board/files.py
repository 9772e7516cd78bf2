"""Write a board to files, in the chosen formats."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from ...core.files import write_whole, writing
from ..report.pivot import SETTING
from ..report.results import CSV, MARKDOWN
from ..report.tables import markdown
from ..report.text import for_csv
from .board import Board, make_board
from .runs import read_run

Format = Literal["html", "md", "csv", "latex", "png", "svg"]
PAGE = "index.html"
LATEX = "leaderboard.tex"
CURVES, LAYERS = "curves.csv", "layers.csv"


def write_board(board: Board, folder: Path, formats: Sequence[Format], *, but: Collection[str] = ()) -> list[str]:
    """Write a board in these formats, without the files named in `but`, and return the names of the written files.

    Raises OutputError if a file cannot be written.
    """
    written = []
    for form in dict.fromkeys(formats):
        for name, content in _files(board, form):
            if name in but:
                continue
            with writing(folder / name):
                write_whole(folder / name, content)
            written.append(name)
    return written


def publish(folder: Path, table: pd.DataFrame) -> str:
    """Write the page of a run into its folder and return its name. Raises OutputError if it cannot be written."""
    (name,) = write_board(make_board([read_run(folder, table)]), folder, ["html"])
    return name


def _files(board: Board, form: Format) -> Iterator[tuple[str, bytes]]:
    """Yield the file names and contents of a format; imports stand inside, since that of matplotlib takes a second."""
    if form == "html":
        from .page import page

        yield PAGE, page(board).encode()
    elif form == "md":
        yield MARKDOWN, markdown(board.frame()).encode("utf-8", "replace")
    elif form == "csv":
        yield CSV, _csv(board.frame().drop(columns=SETTING))
        if any(run.curves for run in board.runs):
            from .curves import curve_table

            yield CURVES, _csv(curve_table(board))
        if any(run.layers for run in board.runs):
            from .layers import layer_table

            yield LAYERS, _csv(layer_table(board))
    elif form == "latex":
        from .latex import latex

        yield LATEX, latex(board.frame()).encode("utf-8", "replace")
    else:
        from .figures import FOLDER, figures

        yield from ((f"{FOLDER}/{name}", content) for name, content in figures(board, form))


def _csv(table: pd.DataFrame) -> bytes:
    return for_csv(table).to_csv(index=False).encode("utf-8", "replace")
