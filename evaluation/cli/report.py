"""`foolbench report`: print the results of runs and write them as tables, a page and figures."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import get_args

import pandas as pd

from ...core.errors import ConfigError, OutputError
from ...core.files import is_file, writable_folder, write_whole, writing
from ..board.board import Board, make_board
from ..board.files import Format, write_board
from ..board.runs import read_run
from ..report.images import image_scores
from ..report.manifest import MANIFEST
from ..report.results import CSV, MARKDOWN, Results
from ..report.tables import terminal
from ..report.text import for_csv
from .console import console, say

IMAGES = "images.csv"
FORMATS: tuple[Format, ...] = get_args(Format)


def report(runs: Sequence[Path], formats: Sequence[str], out: Path | None, *, images: bool) -> None:
    """Print the table of runs and write their report: into `out`, or for a single run into its own folder.

    Without `formats` a page, Markdown and CSV are written. Raises ConfigError for arguments or runs that do not go
    together, and OutputError for files that cannot be read or written.
    """
    chosen = _formats(formats)
    if out is None and (len(runs) > 1 or is_file(runs[0])):
        raise ConfigError("Expected --out DIR for a board of several runs, or of a table: the folder for its files.")
    if out is not None and is_file(out / MANIFEST):
        raise ConfigError(f"Expected --out to name a folder of its own, got {out}, where a run is kept.")
    if out is not None and any(out.resolve() in (run.resolve(), run.resolve().parent) for run in runs if is_file(run)):
        raise ConfigError(f"Expected --out to name a folder of its own, got {out}, where a table lies that is read.")
    if images and (len(runs) > 1 or is_file(runs[0])):
        raise ConfigError("Expected --images with the folder of one run, whose ledger has them.")
    found = [read_run(path) for path in runs]
    board = make_board(found)
    if out is not None:
        _write(board, writable_folder(out), chosen or FORMATS[:3])
        table = board.frame()
    else:
        table = found[0].table
        _rewrite(board, table, runs[0], chosen)
    if images:
        _write_images(runs[0], out or runs[0])
    console.print(terminal(table, console.width))


def _write_images(run: Path, folder: Path) -> None:
    with writing(folder / IMAGES):
        write_whole(folder / IMAGES, for_csv(image_scores(run)).to_csv(index=False).encode("utf-8", "replace"))
    say(f"Written to {folder}: {IMAGES}", style="dim")


def _rewrite(board: Board, table: pd.DataFrame, folder: Path, chosen: Sequence[Format]) -> None:
    """Rewrite the report in a run's own folder, under the run's lock; a table is never replaced by a shorter one."""
    try:
        results = Results(folder)
    except OutputError as error:  # a read-only disk, or a run in progress
        say(f"Nothing was written: {error}", style="yellow")
        return
    anew = not chosen or bool({"csv", "md"} & set(chosen))
    with results:
        if anew:
            results.check_not_fewer(table)
        try:
            if anew:
                results.write_table(table)
            _write(board, folder, chosen or FORMATS[:3], but=(CSV, MARKDOWN))
        except OutputError as error:  # a full disk
            say(f"Not all was written, --out DIR writes elsewhere: {error}", style="yellow")


def _write(board: Board, folder: Path, formats: Sequence[Format], *, but: Collection[str] = ()) -> None:
    written = write_board(board, folder, formats, but=but)
    if written:
        say(f"Written to {folder}: {', '.join(written)}", style="dim")


def _formats(asked: Sequence[str]) -> list[Format]:
    """Return the formats of all `--format` options, each a name or several names separated by commas."""
    names = [name.strip() for text in asked for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"Expected --format {', '.join(FORMATS)}, got {name!r}.")
    return [form for form in FORMATS if form in names]
