"""Validate the fields of a row of leaderboard.csv, which a spreadsheet may have rewritten."""

import json
import math
from collections.abc import Iterator

from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.columns import COLUMNS, TEXTS
from ..leaderboard.part import TextRow
from ..leaderboard.units import is_error

_COUNTS = ("n", "clusters")
_NAMED = ("n", "eps")
"""The numeric columns that every row has."""
_RATES = ("clean", "gfr", "robust", *ABSTAINING)
_WITH_ENDS = {rate: [f"{rate}{end}" for end in ("", "_low", "_high")] for rate in _RATES}
_PERCENTS = {"floor", "gfr_area", "gfr_area_queries", *(name for names in _WITH_ENDS.values() for name in names)}


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
    for column in COLUMNS:
        text = row.get(column, "")
        if column in TEXTS or (text == "" and column not in needed):
            continue
        low, high = _range(column, row["unit"])
        number = _number(text)
        whole = column not in _COUNTS or float(number).is_integer()
        if not (low <= number <= high and whole):
            yield f"{text!r} as {column}, no {'whole ' * (column in _COUNTS)}number in {low:g}..{high:g}"


def _needed(row: TextRow) -> set[str]:
    """Return the numeric columns that must not be empty; a rate that is given needs its interval."""
    if row["status"] != "ok":
        return {*_NAMED}
    return {*_NAMED, *(name for rate in _RATES if rate == "gfr" or row.get(rate) for name in _WITH_ENDS[rate])}


def _range(column: str, unit: str) -> tuple[float, float]:
    if column in _COUNTS:
        return 1, math.inf
    if column == "eps" or (is_error(unit, column) and column != "clean_drop"):
        return 0, math.inf
    return (0, 100) if column in _PERCENTS else (-math.inf, math.inf)


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
