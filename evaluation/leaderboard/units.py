"""Convert rates to the unit of a row: percent of the best possible value, or an error metric's own unit.

The unit applies to `clean`, `robust`, `attacked`, `at_target`, their intervals and `clean_drop`. All other rates, such
as fooling rates and floors, are in percent for every metric. Of an error, less is better.
"""

from typing import Literal

from ...core.task import Metric
from .columns import COLUMNS
from .paired import Difference
from .stats import Estimate

Unit = Literal["percent", "error"]
"""The values of the column `unit`."""


def unit_of(metric: Metric) -> Unit:
    return "error" if metric.error else "percent"


def is_error(unit: str, column: str) -> bool:
    """Return whether a column is in an error metric's own unit, in a row with this `unit`."""
    return unit == "error" and column in COLUMNS and COLUMNS[column].kind in ("metric", "change")


def for_the_worse(unit: str, column: str) -> Literal[1, -1]:
    """Return the sign of a change in this column that makes a system worse."""
    if column == "at_target":
        return -1 if is_error(unit, column) else 1
    return -1 if column in ("clean", "robust", "attacked") and not is_error(unit, column) else 1


def decimals(unit: str, column: str) -> int:
    """Return the number of decimals to which leaderboard.csv rounds a column."""
    return 5 if is_error(unit, column) else 2


def shown_decimals(unit: str, column: str) -> tuple[int, int]:
    """Return the numbers of decimals that reports show: for a rate, and for the ends of its interval."""
    return (3, 3) if is_error(unit, column) else (1, 0)


def in_unit(metric: Metric, column: str, share: float) -> float:
    """Convert a share of the best, or any other rate, from 0..1 to the unit that the column has in a leaderboard."""
    return metric.range * (1 - share) if is_error(unit_of(metric), column) else 100 * share


def estimate_in_unit(metric: Metric, column: str, share: Estimate) -> Estimate:
    """Convert a rate and its interval likewise; the ends of an error's interval change places."""
    mean, *ends = (in_unit(metric, column, value) for value in share)
    return Estimate(mean, min(ends), max(ends))


def difference_in_unit(metric: Metric, column: str, found: Difference) -> Difference:
    """Convert two such rates, their difference and its interval likewise."""
    first, second = (in_unit(metric, column, value) for value in (found.first, found.second))
    zero = in_unit(metric, column, 0.0)
    change, *ends = (in_unit(metric, column, value) - zero for value in (found.difference, found.low, found.high))
    return found._replace(first=first, second=second, difference=change, low=min(ends), high=max(ends))
