"""Whether two rows of one cell agree: to the digit, but for rounding, or within an interval where chance has a part."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.part import TextRow

ROUNDED = 1.0
"""In percent of the images: so many another processor may count otherwise, and one image always."""
_DIGITS = 0.011
"""Tables have two decimals."""


class Difference(NamedTuple):
    """A number that came out otherwise; `explained` says by what, and is empty where nothing explains it."""

    column: str
    claimed: str
    found: str
    explained: str


def differences(claimed: TextRow, found: TextRow, *, chance: bool) -> list[Difference]:
    """Of all rates, their intervals, the drop and the floor. `chance`: it has a part in crafting or scoring.

    Rounding explains as many points as one image is, and one in any case; twice that for the drop, a difference of two
    rates. Chance explains a rate under attack that lies in the claimed interval, where the claimed one lies in that of
    now, but for rounding. The ends of an interval may be off by twice as much as its rate is, beside rounding.
    """
    rounding = max(100 / int(found["n"]), ROUNDED) + _DIGITS
    return list(_differences(claimed, found, rounding, chance=chance))


def _differences(claimed: TextRow, found: TextRow, rounding: float, *, chance: bool) -> Iterator[Difference]:
    for column in ("clean", "gfr", "robust"):
        by_chance = chance and column != "clean" and _near(column, claimed, found, rounding)
        yield from _difference(column, claimed, found, rounding, chance=by_chance)
        off = _off(column, claimed, found)
        for end in (f"{column}_low", f"{column}_high"):
            by_rate = _off(end, claimed, found) <= rounding + 2 * off
            yield from _difference(end, claimed, found, rounding, chance=by_rate)
    for column in (*ABSTAINING, "gfr_area", "gfr_area_queries"):
        yield from _difference(column, claimed, found, rounding, chance=chance and _near_enough(column, claimed, found))
    yield from _difference("floor", claimed, found, rounding)
    yield from _difference("clean_drop", claimed, found, 2 * rounding)


def _difference(
    column: str, claimed: TextRow, found: TextRow, rounding: float, *, chance: bool = False
) -> Iterator[Difference]:
    """None where the texts or the numbers are equal."""
    then, now, off = claimed.get(column, ""), found.get(column, ""), _off(column, claimed, found)
    if then != now and off != 0:
        explained = "rounding" if off <= rounding else "its interval" if chance else ""
        yield Difference(column, then, now, explained)


def _off(column: str, claimed: TextRow, found: TextRow) -> float:
    return abs(_number(claimed, column) - _number(found, column))


def _near(column: str, claimed: TextRow, found: TextRow, rounding: float) -> bool:
    """Whether each of two rates lies in the interval of the other."""
    then, now = _number(claimed, column), _number(found, column)
    low, high = _number(claimed, f"{column}_low"), _number(claimed, f"{column}_high")
    least, most = _number(found, f"{column}_low"), _number(found, f"{column}_high")
    return low - _DIGITS <= now <= high + _DIGITS and least - rounding <= then <= most + rounding


def _near_enough(column: str, claimed: TextRow, found: TextRow) -> bool:
    """Whether two rates without an interval of their own, or means of such, are no farther apart than chance explains:
    four standard errors of a difference, at most.
    """
    share = (_number(claimed, column) + _number(found, column)) / 200
    return _off(column, claimed, found) <= 400 * math.sqrt(2 * share * (1 - share) / int(found["n"]))


def _number(row: TextRow, column: str) -> float:
    """NaN, which agrees with nothing, where there is none."""
    try:
        return float(row.get(column, ""))
    except ValueError:
        return math.nan
