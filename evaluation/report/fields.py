"""Validate the fields of a row of leaderboard.csv, which a spreadsheet may have rewritten."""

import json
import math
from collections.abc import Iterator

from ..leaderboard.columns import COLUMNS, RATES
from ..leaderboard.part import TextRow
from ..leaderboard.units import is_error

_NAMED = ("n", "eps")
"""The numeric columns that every row has."""
_AT_LEAST_ONE = ("n", "clusters")
_WITH_ENDS = {rate: [f"{rate}{end}" for end in ("", "_low", "_high")] for rate in RATES}


def wrong_field(row: TextRow) -> str | None:
    """Return a description of the first field that is invalid in its column, or None."""
    return next(_wrong(row), None)


def _wrong(row: TextRow) -> Iterator[str]:
    if row["unit"] not in ("percent", "error"):
        yield f"the unit {row['unit']!r}, neither percent nor error"
    for column in ("attack_params", "defense_params"):
        if not _is_object(row[column]):
            yield f"{row[column]!r} as {column}, no object of JSON"
    needed = _needed(row)
    for name, column in COLUMNS.items():
        text = row.get(name, "")
        if column.kind == "text" or (text == "" and name not in needed):
            continue
        low, high = _range(name, row["unit"])
        number, counts = _number(text), column.kind == "count"
        if not (low <= number <= high and (number.is_integer() or not counts)):
            yield f"{text!r} as {name}, no {'whole ' * counts}number in {low:g}..{high:g}"


def _needed(row: TextRow) -> set[str]:
    """Return the numeric columns that must not be empty; a rate that is given needs its interval."""
    if row["status"] != "ok":
        return {*_NAMED}
    return {*_NAMED, *(name for rate in RATES if rate == "gfr" or row.get(rate) for name in _WITH_ENDS[rate])}


def _range(name: str, unit: str) -> tuple[float, float]:
    match COLUMNS[name].kind:
        case "count":
            return (1 if name in _AT_LEAST_ONE else 0), math.inf
        case "size":
            return 0, math.inf
        case "percent":
            return 0, 100
        case "metric":
            return (0, math.inf) if is_error(unit, name) else (0, 100)
        case _:
            return -math.inf, math.inf


def _number(text: str) -> float:
    """Return the text as a number, or NaN, which lies in no range, if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):
        return False
