"""Compare two rows of one cell: equal digits, differences by rounding, or by chance where the cell is randomized."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scipy.stats import norm

from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.columns import RATES
from ..leaderboard.part import TextRow
from ..leaderboard.stats import CONFIDENCE
from ..leaderboard.units import decimals

ROUNDED = 1.0
"""Percent of the images that may score differently on another processor; one image always may."""
_OWN = (*ABSTAINING, "recovered", "rounding_undone")
"""The columns that are a percentage of images whatever the unit of the row."""
_LIKE: Mapping[str, str] = {"clean_drop": "clean"} | dict.fromkeys(
    ("floor", "gfr_area", "gfr_area_queries", "gfr_seeds_sd"), "gfr"
)
"""The rate whose interval tells how much images vary, for each column that has no interval of its own."""
_SIZES = ("linf_max", "l2_mean", "layer_shift")
"""Sizes of perturbations and of layer shifts: a share of the images says nothing about how far they may differ."""
_RESIZED, _LEAST = 0.1, 1.1e-4
"""The relative and the absolute tolerance of a size: a search may end at another point."""


class Deviation(NamedTuple):
    """A number that differs from the claimed one; `explained` names the cause, and is empty if there is none."""

    column: str
    claimed: str
    found: str
    explained: str


def deviations(claimed: TextRow, found: TextRow, *, chance: bool) -> list[Deviation]:
    """Return the differences between two rows in rates, their intervals, the drop, the floor and measured sizes.

    `chance` says whether crafting or scoring is randomized. An empty or missing column claims nothing and is no
    difference, except the fooling rate, which every finished row claims.

    Rounding explains a change of one image in a hundred, and of one image in any case; of twice that for the drop, a
    difference of two rates. An image counts as 100 percent; for a metric that is an error, whose range says nothing, as
    one standard deviation over images. Chance explains a rate under attack where each of the two lies in the interval
    of the other, up to rounding. The ends of an interval may differ by rounding plus twice the difference of the rate,
    a size by a tenth of itself.
    """
    return list(_deviations(claimed, found, chance=chance))


def _deviations(claimed: TextRow, found: TextRow, *, chance: bool) -> Iterator[Deviation]:
    for column in ("clean", "gfr", "robust", "attacked", "at_target"):
        by_chance = chance and column != "clean" and _near(column, claimed, found)
        yield from _difference(column, claimed, found, _rounding(column, found), chance=by_chance)
    for column in (*_OWN, "gfr_area", "gfr_area_queries", "gfr_seeds_sd"):
        by_chance = chance and _near_enough(column, claimed, found)
        yield from _difference(column, claimed, found, _rounding(column, found), chance=by_chance)
    for column in RATES:
        rounding, off = _rounding(column, found), _off(column, claimed, found)
        for end in (f"{column}_low", f"{column}_high"):
            by_rate = _off(end, claimed, found) <= rounding + 2 * off
            yield from _difference(end, claimed, found, rounding, chance=by_rate)
    yield from _difference("successes", claimed, found, max(1, ROUNDED / 100 * int(found["n"])))
    yield from _difference("floor", claimed, found, _rounding("floor", found))
    yield from _difference("clean_drop", claimed, found, 2 * _rounding("clean_drop", found))
    for column in _SIZES:
        yield from _difference(column, claimed, found, _RESIZED * _number(found, column) + _LEAST)


def _rounding(column: str, found: TextRow) -> float:
    """Return the largest difference that rounding explains, in the column's unit."""
    count = _count(column, found)
    image = _deviation(_LIKE.get(column, column), found, count) if _of_error(column, found) else 100.0
    return max(1 / count, ROUNDED / 100) * image + _digits(column, found)


def _count(column: str, found: TextRow) -> int:
    """Return the number of images that a column is a mean over."""
    among = found.get("successes") if column.startswith("recovered") else None
    return max(1, int(float(among or found["n"])))  # none of 0 images is compared


def _of_error(column: str, found: TextRow) -> bool:
    """Return whether a column averages errors of images, which may be far smaller than the metric's range."""
    return found["unit"] == "error" and column not in _OWN


def _deviation(rate: str, found: TextRow, count: int) -> float:
    """Return the standard deviation over images, derived from the interval of their mean; 0 without an interval."""
    width = _number(found, f"{rate}_high") - _number(found, f"{rate}_low")
    return 0.0 if math.isnan(width) else width / 2 / float(norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(count)


def _digits(column: str, found: TextRow) -> float:
    """Return how far two equal numbers may differ when each is rounded to the table's digits."""
    return 1.1 * 10.0 ** -decimals(found["unit"], column)


def _difference(
    column: str, claimed: TextRow, found: TextRow, rounding: float, *, chance: bool = False
) -> Iterator[Deviation]:
    """Yield the deviation of a column, unless the texts or numbers are equal or nothing is claimed."""
    then, now, off = claimed.get(column, ""), found.get(column, ""), _off(column, claimed, found)
    if (then or column == "gfr") and then != now and off != 0:
        explained = "rounding" if off <= rounding else "its interval" if chance else ""
        yield Deviation(column, then, now, explained)


def _off(column: str, claimed: TextRow, found: TextRow) -> float:
    return abs(_number(claimed, column) - _number(found, column))


def _near(column: str, claimed: TextRow, found: TextRow) -> bool:
    """Return whether each of two rates lies in the interval of the other, up to rounding."""
    then, now = _number(claimed, column), _number(found, column)
    low, high = _number(claimed, f"{column}_low"), _number(claimed, f"{column}_high")
    least, most = _number(found, f"{column}_low"), _number(found, f"{column}_high")
    digits, rounding = _digits(column, found), _rounding(column, found)
    return low - digits <= now <= high + digits and least - rounding <= then <= most + rounding


def _near_enough(column: str, claimed: TextRow, found: TextRow) -> bool:
    """Return whether two rates without an interval, or means of such rates, differ by at most four standard errors."""
    count = _count(column, found)
    if _of_error(column, found):
        deviation = _deviation(_LIKE[column], found, count)
    else:
        share = min(max((_number(claimed, column) + _number(found, column)) / 200, 0), 1)
        deviation = 100 * math.sqrt(share * (1 - share))
    return _off(column, claimed, found) <= 4 * math.sqrt(2 / count) * deviation


def _number(row: TextRow, column: str) -> float:
    """Return a field as a number, or NaN, which compares as unequal, if it is none."""
    try:
        return float(row.get(column, ""))
    except ValueError:
        return math.nan
