"""Whether two rows of one cell agree: to the digit, but for rounding, or within an interval where chance has a part."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..leaderboard.part import TextRow

ROUNDED = 1.0
"""In percent of the images: so many another processor may count otherwise, and one image always."""
_DIGITS = 0.011
"""Tables have two decimals."""
_RATES = ("clean", "gfr", "robust")
_ATTACKED = ("gfr", "robust")


class Difference(NamedTuple):
    """A number that came out otherwise; `explained` says by what, and is empty where nothing explains it."""

    column: str
    claimed: str
    found: str
    explained: str


def differences(claimed: TextRow, found: TextRow, *, chance: bool) -> list[Difference]:
    """Of all rates, their intervals, the drop and the floor. `chance` had a part in what was crafted or how it was scored.

    Rounding explains as many points as one image is, and one in any case; twice that for the drop, which is a difference
    of two rates. Chance explains a rate under attack within the claimed interval. The ends of an interval may be off
    by twice as much as its rate is, beside rounding.
    """
    rounding = max(100 / int(found["n"]), ROUNDED) + _DIGITS
    return [one for one in _all(claimed, found, rounding, chance=chance) if one.claimed != one.found]


def _all(claimed: TextRow, found: TextRow, rounding: float, *, chance: bool) -> Iterator[Difference]:
    for column in _RATES:
        free = chance and column in _ATTACKED
        yield _compared(column, claimed, found, rounding, within=_interval(claimed, column) if free else None)
        off = abs(_number(claimed, column) - _number(found, column))
        for end in (f"{column}_low", f"{column}_high"):
            yield _compared(end, claimed, found, rounding + 2 * (0.0 if math.isnan(off) else off))
    yield _compared("floor", claimed, found, rounding)
    yield _compared("clean_drop", claimed, found, 2 * rounding)


def _compared(
    column: str, claimed: TextRow, found: TextRow, most: float, within: tuple[float, float] | None = None
) -> Difference:
    told, number = claimed.get(column, ""), found.get(column, "")
    then, now = _number(claimed, column), _number(found, column)
    if then == now:
        return Difference(column, number, number, "equal")
    explained = "rounding" if abs(then - now) <= most else ""
    if not explained and within is not None and within[0] - _DIGITS <= now <= within[1] + _DIGITS:
        explained = "the interval"
    return Difference(column, told, number, explained)


def _interval(row: TextRow, column: str) -> tuple[float, float]:
    return _number(row, f"{column}_low"), _number(row, f"{column}_high")


def _number(row: TextRow, column: str) -> float:
    """NaN, which agrees with nothing, where there is none."""
    try:
        return float(row.get(column, ""))
    except ValueError:
        return math.nan
