"""Pivot a leaderboard into small tables: defenses by attacks, or source networks by scored networks."""

from collections.abc import Iterator, Sequence
from itertools import product

import pandas as pd

from ...core.words import budget
from ..grid.bundles import is_of_one_seed
from ..leaderboard.grouping import grouped
from . import matrices
from .matrices import ON, THROUGH, Matrix
from .rows import NamedRow, named, records

SETTING = "setting"
"""The extra column of merged leaderboards: what distinguishes rows that cannot stand in one table."""

NAMES = ("defense", "knowledge", ON, THROUGH)
"""The columns that name a line."""
_CLEAN = "(clean)"
Line = dict[str, str]
Part = tuple[str, list[Line]]
"""A small table: its title, and its lines."""


def pivot(table: pd.DataFrame) -> list[Part]:
    """Return a table for each model and metric: defense, clean, drop, floor, then GFR and interval per attack.

    If attacks were crafted on other networks than those scored, there is a matrix of networks for each attack and
    defense instead. Attacks crafted through other defenses have matrices of their own.
    """
    by_metric, by_model = list(_by(table, "metric")), list(_by(table, "model", "metric"))
    foreign = {rows[0][SETTING] for rows in by_metric if any(row.foreign for row in rows)}
    usual = [[row for row in rows if not row.crossed] for rows in by_model if rows[0][SETTING] not in foreign]
    return [
        *(part for rows in by_metric if rows[0][SETTING] in foreign for part in _transfers(rows)),
        *(part for rows in usual if rows for part in (_defenses(rows), *_rejections(rows))),
        *(part for rows in by_model for part in _crossings(rows)),
    ]


def transfers(table: pd.DataFrame) -> bool:
    """Return whether some attack was crafted on another network than the one it is scored on."""
    return bool((table.source_model != table.model).any())


def _by(table: pd.DataFrame, *columns: str) -> Iterator[list[NamedRow]]:
    """Yield groups of rows that agree in these columns and their setting; of several seeds, only the mean's rows."""
    shown = [row for row in records(table) if not is_of_one_seed(row.get("seed"))]
    for same in grouped(shown, lambda row: tuple(row.get(column) for column in (*columns, SETTING))).values():
        yield named(same)


def _defenses(rows: Sequence[NamedRow]) -> Part:
    """Return a table with a line for each defense and attacker's knowledge, and a column for each attack."""
    adaptive = any(row.adaptive for row in rows)
    attacks, defenses = (dict.fromkeys(row.attack for row in rows), dict.fromkeys(row.defense for row in rows))
    reached = {(row.defense, row["knowledge"]) for row in rows}
    lines: dict[tuple[str, str], Line] = {}
    for defense, knowledge in product(defenses, ("oblivious", "adaptive")):
        if (defense, knowledge) in reached:
            told = {"defense": defense} | ({"knowledge": knowledge} if adaptive else {})
            lines[defense, knowledge] = told | dict.fromkeys(("clean", "drop", "floor", *attacks), "-")
    for row in rows:
        shown = {"clean": "clean", "drop": "clean_drop", "floor": "floor"}
        known = {name: _number(row, column) for name, column in shown.items() if row[column] is not None}
        lines[row.defense, row["knowledge"]] |= known | {row.attack: _rate(row)}
    return _title(rows[0]["model"], rows), list(lines.values())


def _rejections(rows: Sequence[NamedRow]) -> list[Part]:
    """Return a table of how often systems that may reject an image do so, if there are such systems."""
    abstaining = [row for row in rows if row["rejected_clean"] is not None]
    attacks = dict.fromkeys(row.attack for row in abstaining)
    lines: dict[tuple[str, str], Line] = {}
    for row in abstaining:
        told = {"defense": f"{row.defense}, {row['knowledge']}", "rejected clean": f"{row['rejected_clean']:.1f}"}
        line = lines.setdefault((row.defense, row["knowledge"]), told | dict.fromkeys(attacks, "-"))
        right = "" if row["corrected"] is None else f" + {row['corrected']:.1f}"
        line[row.attack] = f"{row['detected']:.1f}{right}"
    title = f"{rows[0]['model']}: percent of clean images rejected, and of attacked ones detected + corrected"
    return [(title, list(lines.values()))] if lines else []


def _transfers(rows: Sequence[NamedRow]) -> Iterator[Part]:
    """Yield tables like Table 1 of GD-UAP: a line for each source network, a column for each scored network."""
    models = dict.fromkeys(row["model"] for row in rows)
    for found in matrices.transfers(rows):
        clean = {row["model"]: _number(row, "clean") for row in found.rows if row["clean"] is not None}
        last = {ON: _CLEAN} | {model: clean.get(model, "-") for model in models}
        yield _title(found.title, found.rows), [*_lines(found, list(models)), last]


def _crossings(rows: Sequence[NamedRow]) -> Iterator[Part]:
    """Yield a table for each attack crafted through other defenses: these in lines, the scored defenses in columns."""
    for found in matrices.crossings(rows):
        yield _title(f"{rows[0]['model']}, {found.title}", found.rows), _lines(found, found.columns)


def _lines(found: Matrix[NamedRow], columns: Sequence[str]) -> list[Line]:
    rates = {place: _rate(row) for place, row in found.cells.items()}
    return [
        {found.corner: line} | {column: rates.get((line, column), "-") for column in columns} for line in found.lines
    ]


def _title(what: str, rows: Sequence[NamedRow]) -> str:
    first = rows[0]
    unit = ", an error in its own unit" if first["unit"] == "error" else " in percent"
    clusters = first["clusters"]
    count = f"{first['n']}{'' if clusters is None else f' in {clusters:.0f} clusters, which intervals are over'}"
    told = [f"{first['metric']}{unit}", f"n = {count}", first["dataset"], _threat(rows), first[SETTING]]
    return f"{what}: {', '.join(filter(None, told))}"


def _threat(rows: Sequence[NamedRow]) -> str:
    """Return the norm and eps that all rows share, or ""."""
    threats = {f"{row['norm']}, eps = {budget(row['eps'])}" for row in rows}
    return threats.pop() if len(threats) == 1 else ""


def _number(row: NamedRow, column: str) -> str:
    return f"{row[column]:.{row.digits(column)[0]}f}"


def _rate(row: NamedRow) -> str:
    """Return the fooling rate with its interval, or the status of an unfinished row."""
    if not row.ok:
        return row["status"]
    gap = "" if row["gfr_gap"] is None else f" ({row['gfr_gap']:+.1f})"
    return f"{row['gfr']:.1f}{'*' if row.flags else ''} [{row['gfr_low']:.0f}-{row['gfr_high']:.0f}]{gap}"
