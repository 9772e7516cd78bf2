"""Rates in percent, and errors in their own unit: a leaderboard tells them apart by how many digits they have."""

from collections.abc import Iterable

import pandas as pd


def are_errors(values: Iterable[float | None]) -> bool:
    """Whether some of these, clean or robust values of one metric, have more digits than percents are written with."""
    return any(value != round(value, 2) for value in values if value is not None and pd.notna(value))
