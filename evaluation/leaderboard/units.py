"""The unit of a row's `clean` and `robust`: percent of the best there can be, or an error's own; less of it is better.

All other rates, as fooling rates and floors, are in percent whatever the metric is.
"""

from typing import Literal

from ...core.task import Metric
from .paired import Difference
from .stats import Estimate

Unit = Literal["percent", "error"]
"""What the column `unit` says."""
_OWN = ("clean", "clean_low", "clean_high", "clean_drop", "robust", "robust_low", "robust_high")
"""The columns that an error has in its own unit."""


def unit_of(metric: Metric) -> Unit:
    return "error" if metric.error else "percent"


def is_error(unit: str, column: str) -> bool:
    """Whether a column is an error's in its own unit, of a row of that unit."""
    return unit == "error" and column in _OWN


def for_the_worse(unit: str, column: str) -> Literal[1, -1]:
    """The sign of a change by which a system is worse."""
    return -1 if column in ("clean", "robust") and not is_error(unit, column) else 1


def decimals(unit: str, column: str) -> int:
    """Digits after the point that a table keeps."""
    return 5 if is_error(unit, column) else 2


def shown_decimals(unit: str, column: str) -> tuple[int, int]:
    """Digits after the point for people: of a rate, and of the ends of its interval."""
    return (3, 3) if is_error(unit, column) else (1, 0)


def in_unit(metric: Metric, column: str, share: float) -> float:
    """Of a share of the best in 0..1, or of a fooling rate, what a table says."""
    return metric.range * (1 - share) if is_error(unit_of(metric), column) else 100 * share


def estimate_in_unit(metric: Metric, column: str, share: Estimate) -> Estimate:
    """The same of an interval, whose ends change places where it is an error's."""
    mean, *ends = (in_unit(metric, column, value) for value in share)
    return Estimate(mean, min(ends), max(ends))


def difference_in_unit(metric: Metric, column: str, found: Difference) -> Difference:
    """The same of a difference of two such shares."""
    first, second = (in_unit(metric, column, value) for value in (found.first, found.second))
    zero = in_unit(metric, column, 0.0)
    change, *ends = (in_unit(metric, column, value) - zero for value in (found.difference, found.low, found.high))
    return found._replace(first=first, second=second, difference=change, low=min(ends), high=max(ends))
