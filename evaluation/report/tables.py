"""Format a leaderboard as Markdown or for a terminal, like Tables 10 and 11 of GD-UAP or, for transfer, its Table 1."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ...core.words import counted
from ..grid.labels import knowledges
from .matrices import THROUGH
from .pivot import NAMES, pivot, transfers
from .published import HEADING as PUBLISHED
from .published import beside
from .rows import Record, records
from .text import for_markdown

HEADING = "Generalized fooling rate per attack in percent with its 95% interval"
COSTS = "clean accuracy, and the points it drops."
GAPS = "Adaptive attacks know the defense; in brackets, how many points more they fool than oblivious ones."

CROSSED = f"Where a line says {THROUGH}, it is of one defense's adversarial images, and the columns are other defenses."
TRANSFER = (
    "A line says on which network an attack was crafted, a column on which it was scored: white-box where they are the "
    "same, transfer elsewhere. The last line is clean accuracy."
)

FRAME = 3
"""The terminal columns of a cell's frame: a space on each side of its text, and a line."""


def markdown(table: pd.DataFrame) -> str:
    """Return the tables as Markdown: rates, comparisons with papers, flags and errors."""
    parts = [f"# {for_markdown(table.recipe.iloc[0])}", _heading(table)]
    for title, lines in pivot(table):
        parts += [f"## {for_markdown(title)}", _tabulated(lines)]
    for title, remarks, lines in beside(table):
        parts += [f"## {for_markdown(title)}", PUBLISHED, "\n".join(f"- {for_markdown(text)}" for text in remarks)]
        parts.append(_tabulated(lines))
    flags, failures = _flags(table), _failures(table)
    if flags:
        parts += ["## Flags (*)", "\n".join(f"- {for_markdown(flag)}" for flag in flags)]
    if failures:
        parts += ["## Errors", "\n".join(f"- {for_markdown(failure)}" for failure in failures)]
    return "\n\n".join(parts) + "\n"


def _tabulated(lines: Sequence[Mapping[str, str]]) -> str:
    safe = [{for_markdown(name): for_markdown(value) for name, value in line.items()} for line in lines]
    return pd.DataFrame(safe).to_markdown(index=False, disable_numparse=True)


def terminal(table: pd.DataFrame, width: int) -> Group:
    """Return rates, flags and errors for a terminal of `width` columns.

    Intervals have a line of their own, so that ten attacks fit in 200 columns. Further attacks continue in a table
    below, which repeats the names of the defenses, so that no word is ever broken.
    """
    parts: list[Table | Text] = [Text(_heading(table), style="dim")]
    for title, lines in pivot(table):
        parts.append(Text(title, style="bold"))
        parts += [_shown(columns, lines, width) for columns in _side_by_side(lines, width)]
    parts += [Text(f"* {flag}", style="yellow") for flag in _flags(table)]
    parts += [Text(failure, style="red") for failure in _failures(table)]
    return Group(*parts)


def _side_by_side(lines: list[dict[str, str]], width: int) -> list[list[str]]:
    """Distribute the columns over tables that fit the width; each table begins with the columns that name a line."""
    names = [column for column in lines[0] if column in NAMES]
    tables = [list(names)]
    for column in lines[0]:
        if column in NAMES:
            continue
        if len(tables[-1]) > len(names) and sum(_widths([*tables[-1], column], lines, least=True)) > width - 1:
            tables.append(list(names))
        tables[-1].append(column)
    return tables


def _shown(columns: list[str], lines: list[dict[str, str]], width: int) -> Table:
    """Return a table with whole headings if they fit, else with the names of attacks wrapped at spaces."""
    shown = Table()
    whole = _widths(columns, lines, least=False)
    widths = whole if sum(whole) < width else _widths(columns, lines, least=True)
    for column, needed in zip(columns, widths, strict=True):
        justify = "left" if column in NAMES else "right"
        shown.add_column(Text(column), justify=justify, width=needed - FRAME, overflow="fold")
    for line in lines:
        shown.add_row(*(_two_lines(line[column]) for column in columns))
    return shown


def _widths(columns: list[str], lines: list[dict[str, str]], *, least: bool) -> list[int]:
    """Return the width of each column with its frame; at `least`, with its heading wrapped at spaces."""
    headings = [column.split() if least else [column] for column in columns]
    cells = [[part for line in lines for part in _two_lines(line[column]).plain.split("\n")] for column in columns]
    return [max(map(cell_len, [*words, *texts])) + FRAME for words, texts in zip(headings, cells, strict=True)]


def _heading(table: pd.DataFrame) -> str:
    shown = f"{HEADING}. {TRANSFER}" if transfers(table) else f"{HEADING}; {COSTS}"
    told = {"adaptive": GAPS, "crossed": CROSSED}
    return " ".join([shown, *(told[one] for one in told if one in set(table.knowledge))])


def _flags(table: pd.DataFrame) -> list[str]:
    """Return a line for each flag, with the cells that it marks as doubtful."""
    flagged: dict[str, list[str]] = {}
    rows = records(table.query("status == 'ok'"))
    for row, knowledge in zip(rows, knowledges(rows), strict=True):
        for flag in row["flagged"].split():
            flagged.setdefault(flag, []).append(f"{_cell(row)}, {knowledge}")
    return [f"{flag}: {'; '.join(dict.fromkeys(cells))}" for flag, cells in flagged.items()]


def _failures(table: pd.DataFrame) -> list[str]:
    """Return a line for each error with its cells, or the network's name alone if all its cells failed with it."""
    failed: dict[str, list[str]] = {}
    for model, rows in table.groupby("model", sort=False):
        errors = rows.query("status == 'error'")
        if len(errors) == len(rows) and errors.error.nunique() == 1:
            failed.setdefault(errors.error.iloc[0], []).append(f"{model}, all {counted(len(rows), 'cell')}")
            continue
        for row in records(errors):
            failed.setdefault(row["error"], []).append(_cell(row))
    return [f"{', '.join(dict.fromkeys(cells))}: {error}" for error, cells in failed.items()]


def _cell(row: Record) -> str:
    source = f"{row['source_model']} > " if row["source_model"] != row["model"] else ""
    return f"{source}{row['model']} x {row['attack']} x {row['defense']}"


def _two_lines(value: str) -> Text:
    rate, _, rest = value.partition(" [")
    interval, _, gap = rest.partition("]")
    return Text.assemble(rate, gap, ("\n" + interval, "dim")) if interval else Text(value)
