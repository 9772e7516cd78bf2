"""A leaderboard for people: like Tables 10 and 11 of GD-UAP, a row a defense and a column an attack."""

import json
from itertools import groupby, product
from operator import itemgetter
from typing import Any

import pandas as pd
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .text import for_markdown

HEADING = (
    "Generalized fooling rate per attack in percent with its 95% interval; clean accuracy, and the points it drops."
)
GAPS = "Adaptive attacks know the defense; in brackets, how many points more they fool than oblivious ones."

NAMES = ("defense", "knowledge")
"""The columns that say what a line is."""
FRAME = 3
"""Columns of a terminal beside those of a cell's text: a space on each side, and a line."""

Row = dict[str, Any]


def pivot(table: pd.DataFrame) -> list[tuple[str, list[dict[str, str]]]]:
    """For each model and metric a title and lines: defense, clean, drop, floor, then GFR and interval per attack."""
    parts = []
    for (model, metric), rows in groupby(_records(table), key=itemgetter("model", "metric")):
        part = list(rows)
        parts.append((f"{model}: {metric} in percent, n = {_count(part[0])}, {_setting(part)}", _lines(part)))
    return parts


def _count(row: Row) -> str:
    clusters = row.get("clusters")  # tables of before there were any have no such column
    whole = clusters is None or pd.isna(clusters)
    return f"{row['n']}" if whole else f"{row['n']} in {clusters:.0f} clusters, which intervals are over"


def _setting(part: list[Row]) -> str:
    """The data, and the threat where there is one for all."""
    threats = {f"{row['norm']}, eps = {row['eps']:.4g}" for row in part}
    return ", ".join([part[0]["dataset"], *(threats if len(threats) == 1 else [])])


def _records(table: pd.DataFrame) -> list[Row]:
    known = table.astype({"flagged": object}).fillna({"flagged": ""})  # empty in a row that failed, or came from a file
    return [{str(key): value for key, value in row.items()} for row in known.to_dict("records")]


def _lines(part: list[Row]) -> list[dict[str, str]]:
    attacks, defenses = _labels(part, "attack"), _labels(part, "defense")
    adaptive = any(row["knowledge"] == "adaptive" for row in part)
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for defense, knowledge in product(dict.fromkeys(defenses), ("oblivious", "adaptive")):
        named = {"defense": defense} | ({"knowledge": knowledge} if adaptive else {})
        lines[defense, knowledge] = named | dict.fromkeys(("clean", "drop", "floor", *dict.fromkeys(attacks)), "-")
    for row, attack, defense in zip(part, attacks, defenses, strict=True):
        line = lines[defense, row["knowledge"]]
        line[attack] = _rate(row) if row["status"] == "ok" else row["status"]
        shown = {"clean": row["clean"], "drop": row["clean_drop"], "floor": row["floor"]}
        line |= {key: f"{value:.1f}" for key, value in shown.items() if pd.notna(value)}
    reached = {(defense, row["knowledge"]) for row, defense in zip(part, defenses, strict=True)}
    return [line for key, line in lines.items() if key in reached]


def _rate(row: Row) -> str:
    gap = "" if pd.isna(row["gfr_gap"]) else f" ({row['gfr_gap']:+.1f})"
    flagged = "*" if row["flagged"] else ""
    return f"{row['gfr']:.1f}{flagged} [{row['gfr_low']:.0f}-{row['gfr_high']:.0f}]{gap}"


def _labels(part: list[Row], kind: str) -> list[str]:
    """The name of each row's attack or defense, with those parameters that tell it from its namesakes."""
    threat = ("norm", "eps") if kind == "attack" else ()
    chosen = [(row[kind], json.loads(row[f"{kind}_params"]) | {key: row[key] for key in threat}) for row in part]
    labels = []
    for name, parameters in chosen:
        namesakes = [other for same, other in chosen if same == name]
        telling = [key for key in parameters if any(other.get(key) != parameters[key] for other in namesakes)]
        shown = ", ".join(f"{key} {parameters[key]}" for key in telling)
        labels.append(f"{name} {shown}".strip())
    return labels


def markdown(table: pd.DataFrame) -> str:
    """The tables as Markdown, and the errors below."""
    parts = [f"# {for_markdown(table.recipe.iloc[0])}", _heading(table)]
    for title, lines in pivot(table):
        safe = [{for_markdown(name): for_markdown(value) for name, value in line.items()} for line in lines]
        parts += [f"## {for_markdown(title)}", pd.DataFrame(safe).to_markdown(index=False, disable_numparse=True)]
    flags, failures = _flags(table), _failures(table)
    if flags:
        parts += ["## Flags (*)", "\n".join(f"- {for_markdown(flag)}" for flag in flags)]
    if failures:
        parts += ["## Errors", "\n".join(f"- {for_markdown(failure)}" for failure in failures)]
    return "\n\n".join(parts) + "\n"


def terminal(table: pd.DataFrame, width: int) -> Group:
    """The same for a terminal of so many columns; the interval has a line of its own, so that ten attacks fit in 200.

    What does not fit side by side goes below, under the names of the defenses again: no word is ever torn.
    """
    parts: list[Table | Text] = [Text(_heading(table), style="dim")]
    for title, lines in pivot(table):
        parts.append(Text(title, style="bold"))
        parts += [_shown(columns, lines, width) for columns in _side_by_side(lines, width)]
    parts += [Text(f"* {flag}", style="yellow") for flag in _flags(table)]
    parts += [Text(failure, style="red") for failure in _failures(table)]
    return Group(*parts)


def _side_by_side(lines: list[dict[str, str]], width: int) -> list[list[str]]:
    """The columns of each table, as many as fit; every table begins with those that say what a line is."""
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
    """As wide as its words are, or with the names of attacks broken at their spaces."""
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
    """Of each column with its frame; at `least`, where its heading is broken."""
    headings = [column.split() if least else [column] for column in columns]
    cells = [[part for line in lines for part in _two_lines(line[column]).plain.split("\n")] for column in columns]
    return [max(map(cell_len, [*words, *texts])) + FRAME for words, texts in zip(headings, cells, strict=True)]


def _heading(table: pd.DataFrame) -> str:
    return f"{HEADING} {GAPS}" if (table.knowledge == "adaptive").any() else HEADING


def _flags(table: pd.DataFrame) -> list[str]:
    """One line for each flag, with the numbers that it makes doubtful."""
    flagged: dict[str, list[str]] = {}
    for row in _records(table.query("status == 'ok'")):
        for flag in row["flagged"].split():
            flagged.setdefault(flag, []).append(
                f"{row['model']} x {row['attack']} x {row['defense']}, {row['knowledge']}"
            )
    return [f"{flag}: {'; '.join(dict.fromkeys(cells))}" for flag, cells in flagged.items()]


def _failures(table: pd.DataFrame) -> list[str]:
    """One line for all cells that failed for the same reason."""
    failed: dict[str, list[str]] = {}
    for row in _records(table.query("status == 'error'")):
        failed.setdefault(row["error"], []).append(f"{row['model']} x {row['attack']} x {row['defense']}")
    return [f"{', '.join(dict.fromkeys(cells))}: {error}" for error, cells in failed.items()]


def _two_lines(value: str) -> Text:
    rate, _, rest = value.partition(" [")
    interval, _, gap = rest.partition("]")
    return Text.assemble(rate, gap, ("\n" + interval, "dim")) if interval else Text(value)
