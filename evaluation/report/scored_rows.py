"""The rows of a run with their scores on each image."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ...core.errors import ConfigError
from ..leaderboard.columns import CELL
from ..leaderboard.scores import Scores
from ..leaderboard.source import Source
from ..leaderboard.system_rows import Row
from ..leaderboard.table import leaderboard_rows, system_rows
from ..recipe.plugins import load_plugins
from .finished import finished_run


def scored_rows(folder: Path, row: int | None) -> list[tuple[int, Row, Scores]]:
    """Return the finished rows of a run, or the one with that number, as (number, row, scores), in the table's order.

    Rows are counted from 1. Raises OutputError for a folder without a run, and ConfigError for a number that no row
    has, or if there are no scores.
    """
    load_plugins([])
    with finished_run(folder) as finished:
        rows = leaderboard_rows(finished)
        numbers = {_key(line): number for number, line in enumerate(rows, start=1)}
        if row is not None and row not in numbers.values():
            raise ConfigError(f"Expected a row from 1 to {len(rows)}, got {row}.")
        scored = (found for source in finished.sources for found in _scored(source))
        numbered = ((numbers[_key(line)], line, scores) for line, scores in scored)
        found = [one for one in numbered if row in (None, one[0])]
    if not found:
        told = "it has none: the column error of leaderboard.csv says why" if row else "none is finished"
        raise ConfigError(f"Expected scores of {f'row {row}' if row else 'rows'} of {folder}, but {told}.")
    return sorted(found, key=lambda one: one[0])


def named(frame: pd.DataFrame, number: int, line: Row) -> pd.DataFrame:
    """Return the scores of a row with its number and what names its cell in columns before them."""
    before = {"row": number, **{name: line[name] for name in (*CELL, "metric")}}
    return pd.concat([pd.DataFrame(before, index=frame.index), frame], axis=1)


def _scored(source: Source) -> Iterator[tuple[Row, Scores]]:
    """Yield the finished rows of one model and metric with their scores."""
    for system in system_rows(source):
        for row, scores in system.scored():
            if scores is not None:
                yield row, scores


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in (*CELL, "metric"))
