"""Whether two rows of one cell agree: to the digit, but for rounding, or within an interval where chance has a part."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scipy.stats import norm

from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.part import TextRow
from ..leaderboard.stats import CONFIDENCE
from ..leaderboard.units import decimals

ROUNDED = 1.0
"""In percent of the images: so many another processor may count otherwise, and one image always."""
_OWN = (*ABSTAINING, "rounding_undone")
"""Percent of images in any unit."""
_RATES: Mapping[str, str] = {"clean_drop": "clean"} | dict.fromkeys(
    ("floor", "gfr_area", "gfr_area_queries", "gfr_seeds_sd"), "gfr"
)
"""The rates whose intervals say how far images differ, of columns that have no interval."""
_SIZES = ("linf_max", "l2_mean", "layer_shift")
"""Of changes, and of what they do to a layer, which no share of the images bounds."""
_RESIZED, _LEAST = 0.1, 1.1e-4
"""By so much of itself a size may come out otherwise, where a search ends elsewhere; and by so much in any case."""


class Deviation(NamedTuple):
    """A number that came out otherwise; `explained` says by what, and is empty where nothing explains it."""

    column: str
    claimed: str
    found: str
    explained: str


def deviations(claimed: TextRow, found: TextRow, *, chance: bool) -> list[Deviation]:
    """Of all rates, their intervals, the drop, the floor and measured sizes. `chance`: it has a part in crafting or
    scoring. What a table leaves empty, or has no column for, it does not claim, and that is no difference; but every
    finished row claims a fooling rate.

    Rounding explains what one image in a hundred is, and one in any case; twice that for the drop, a difference of two
    rates. An image is 0 or 100 percent; of an error, whose range says nothing, it is as far off as images differ, one
    standard deviation. Chance explains a rate under attack that lies in the claimed interval, where the claimed one
    lies in that of now, but for rounding. The ends of an interval may be off by twice as much as its rate is, beside
    rounding. A size may be off by a tenth of itself.
    """
    return list(_deviations(claimed, found, chance=chance))


def _deviations(claimed: TextRow, found: TextRow, *, chance: bool) -> Iterator[Deviation]:
    for column in ("clean", "gfr", "robust"):
        by_chance = chance and column != "clean" and _near(column, claimed, found)
        yield from _difference(column, claimed, found, _rounding(column, found), chance=by_chance)
    for column in (*_OWN, "gfr_area", "gfr_area_queries", "gfr_seeds_sd"):
        by_chance = chance and _near_enough(column, claimed, found)
        yield from _difference(column, claimed, found, _rounding(column, found), chance=by_chance)
    for column in ("clean", "gfr", "robust", *ABSTAINING):
        rounding, off = _rounding(column, found), _off(column, claimed, found)
        for end in (f"{column}_low", f"{column}_high"):
            by_rate = _off(end, claimed, found) <= rounding + 2 * off
            yield from _difference(end, claimed, found, rounding, chance=by_rate)
    yield from _difference("floor", claimed, found, _rounding("floor", found))
    yield from _difference("clean_drop", claimed, found, 2 * _rounding("clean_drop", found))
    for column in _SIZES:
        yield from _difference(column, claimed, found, _RESIZED * _number(found, column) + _LEAST)


def _rounding(column: str, found: TextRow) -> float:
    """What rounding explains, in the column's unit."""
    count = int(found["n"])
    image = _deviation(_RATES.get(column, column), found, count) if _of_error(column, found) else 100.0
    return max(1 / count, ROUNDED / 100) * image + _digits(column, found)


def _of_error(column: str, found: TextRow) -> bool:
    """Whether it is made of errors of images, which may be small beside the largest there can be."""
    return found["unit"] == "error" and column not in _OWN


def _deviation(rate: str, found: TextRow, count: int) -> float:
    """Of images, by the interval of their mean; 0 where there is none."""
    width = _number(found, f"{rate}_high") - _number(found, f"{rate}_low")
    return 0.0 if math.isnan(width) else width / 2 / float(norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(count)


def _digits(column: str, found: TextRow) -> float:
    """As far as two numbers that are rounded to a table's digits may differ."""
    return 1.1 * 10.0 ** -decimals(found["unit"], column)


def _difference(
    column: str, claimed: TextRow, found: TextRow, rounding: float, *, chance: bool = False
) -> Iterator[Deviation]:
    """None where the texts or the numbers are equal, or nothing is claimed."""
    then, now, off = claimed.get(column, ""), found.get(column, ""), _off(column, claimed, found)
    if (then or column == "gfr") and then != now and off != 0:
        explained = "rounding" if off <= rounding else "its interval" if chance else ""
        yield Deviation(column, then, now, explained)


def _off(column: str, claimed: TextRow, found: TextRow) -> float:
    return abs(_number(claimed, column) - _number(found, column))


def _near(column: str, claimed: TextRow, found: TextRow) -> bool:
    """Whether each of two rates lies in the interval of the other."""
    then, now = _number(claimed, column), _number(found, column)
    low, high = _number(claimed, f"{column}_low"), _number(claimed, f"{column}_high")
    least, most = _number(found, f"{column}_low"), _number(found, f"{column}_high")
    digits, rounding = _digits(column, found), _rounding(column, found)
    return low - digits <= now <= high + digits and least - rounding <= then <= most + rounding


def _near_enough(column: str, claimed: TextRow, found: TextRow) -> bool:
    """Whether two rates without an interval of their own, or means of such, are no farther apart than chance explains:
    four standard errors of a difference, at most.
    """
    count = int(found["n"])
    if _of_error(column, found):
        deviation = _deviation(_RATES[column], found, count)
    else:
        share = min(max((_number(claimed, column) + _number(found, column)) / 200, 0), 1)
        deviation = 100 * math.sqrt(share * (1 - share))
    return _off(column, claimed, found) <= 4 * math.sqrt(2 / count) * deviation


def _number(row: TextRow, column: str) -> float:
    """NaN, which agrees with nothing, where there is none."""
    try:
        return float(row.get(column, ""))
    except ValueError:
        return math.nan
