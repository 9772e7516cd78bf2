"""The columns of a page's table: those shown at first, and further ones that a reader can add."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.columns import COLUMNS, RATES
from .board import DATA, FACTS, SETTINGS, Board, Row

_HEADINGS = {
    "source_model": "crafted on",
    "source_defense": "crafted through",
    "clean_drop": "drop",
    "gfr": "fooled",
    "gfr_area": "area",
    "gfr_area_queries": "area, queries",
    "gfr_gap": "gap",
    "gfr_over_pgd10": "beyond PGD-10",
    "flagged": "flags",
}
_SHOWN = (
    "model",
    "metric",
    "source_model",
    "attack",
    "knowledge",
    "source_defense",
    "defense",
    "clean",
    "clean_drop",
    "gfr",
    "gfr_area",
    "gfr_area_queries",
    "gfr_gap",
)
_SHOWN_AFTER = ("floor", "robust", "at_target", *ABSTAINING, "flagged", "status")
"""The columns after those of `_SHOWN`; each is shown if it differs between rows, or is in `_ALWAYS`."""
_OF_NETWORK = ("run", "model_sha", "behaviour")
_ALWAYS = ("attack", "defense", "gfr")
_PARAMETERS = ("attack_params", "source_defense_params", "defense_params")
_ELSEWHERE = ("cell", "crafted", *_PARAMETERS, "error", SETTINGS, DATA, *_OF_NETWORK)
"""The columns that are too long for the table, and are told of each row or network instead."""


class Cell(NamedTuple):
    """A cell of the table: its text, the `value` to sort by, and the ends of its interval as text."""

    text: str
    value: Any = None
    low: str = ""
    high: str = ""


class Column(NamedTuple):
    """A column of the table: `name` is the leaderboard's, `told` its meaning, `chosen` whether it is shown at first."""

    name: str
    heading: str
    told: str
    numeric: bool
    chosen: bool
    cell: Callable[[Row], Cell]


def columns(board: Board) -> list[Column]:
    """Return the columns of a board's table, those that are shown at first before the others."""
    ends = {f"{rate}_{end}" for rate in RATES for end in ("low", "high")}
    rest = [name for name in board.differing if name not in {*_SHOWN, *_SHOWN_AFTER, *_ELSEWHERE, *ends}]
    seen = [name for name in (*_SHOWN, *_SHOWN_AFTER) if name in board.differing or name in _ALWAYS]
    if all(row["source_model"] == row["model"] for row in board.rows):
        seen = [name for name in seen if name != "source_model"]
    named = [(name, True) for name in seen] + [(name, False) for name in rest]
    return [_column(board.rows, name, chosen=chosen) for name, chosen in named]


def facts(board: Board, row: Row) -> Mapping[str, str]:
    """Return the details of a row by name: parameters of attack and defenses, and the columns not shown at first."""
    kinds = {"attack": "attack", "crafted through": "source_defense", "defense": "defense"}
    parameters = {told: _listed(row[f"{kind}_params"]) for told, kind in kinds.items()}
    rest = [column.name for column in columns(board) if not column.chosen] + ["gfr_gap", "clean_drop"]
    told = {name: shown(row[name]) for name in rest if row[name] is not None}
    return {kind: text for kind, text in parameters.items() if text} | told


def network(board: Board, row: Row) -> Mapping[str, str]:
    """Return the hashes and settings that identify the network and the images of a row."""
    return {name: shown(row[name]) for name in (*_OF_NETWORK, DATA, SETTINGS) if row[name] is not None}


def _listed(parameters: str | None) -> str:
    """Return a JSON object of parameters as readable text."""
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in json.loads(parameters or "{}").items()
        if value is not None
    )


def shown(value: Any) -> str:
    """Return a value as text, a float with six significant digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def explained(name: str) -> str:
    """Return the meaning of a column."""
    if name in COLUMNS:
        return COLUMNS[name].says
    return FACTS.get(name) or f"version or hardware that the row was made with: {name}"


def _column(rows: Sequence[Row], name: str, *, chosen: bool) -> Column:
    numeric = all(isinstance(row[name], int | float) for row in rows if row[name] is not None)
    cell = {"attack": _attack, "defense": _defense, "source_defense": _through}.get(name) or (
        _rate(name) if name in RATES else _plain(name)
    )
    heading = _HEADINGS.get(name, name.replace("_", " "))
    return Column(name, heading, explained(name), numeric, chosen, cell)


def _attack(row: Row) -> Cell:
    return Cell(row.attack)


def _defense(row: Row) -> Cell:
    return Cell(row.defense)


def _through(row: Row) -> Cell:
    return Cell("" if row["source_defense"] is None else row.through)


def _rate(name: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        if row[name] is None:
            return Cell("")
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        digits, of_ends = row.digits(name)
        ends = ("", "") if low is None else (f"{low:.{of_ends}f}", f"{high:.{of_ends}f}")
        return Cell(f"{row[name]:.{digits}f}", row[name], *ends)

    return cell


def _plain(name: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value = row[name]
        if value is None:
            return Cell("")
        rounded = name in COLUMNS and COLUMNS[name].kind in ("percent", "points", "change")
        text = f"{value:.{row.digits(name)[0]}f}" if rounded else shown(value)
        return Cell(text, value if isinstance(value, int | float) else None)

    return cell
