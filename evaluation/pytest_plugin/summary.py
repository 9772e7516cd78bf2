"""The foolbench section of pytest's terminal summary."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

import pandas as pd
from rich.console import Console

from ..leaderboard.units import shown_decimals
from ..report.tables import terminal
from .benches import Bench


def write_summary(reporter: Any, benches: Iterable[Bench], lines: Sequence[str]) -> None:
    """Write the tables of runs, then the lines on gates, the baseline and the fixture's results."""
    reporter.section("foolbench", sep="=")
    for bench in benches:
        if bench.problem:
            reporter.write_line(f"{bench.folder}: {bench.problem}", red=True)
        if bench.table is not None:
            reporter.write_line(_drawn(bench.table, reporter))
            reporter.write_line(f"Written to {bench.folder}: leaderboard.csv, leaderboard.md, manifest.json")
    for line in lines:
        reporter.write_line(line)


def _drawn(table: pd.DataFrame, reporter: Any) -> str:
    """Return the table as text for the terminal, without the rows that were not executed."""
    text = StringIO()
    console = Console(file=text, width=reporter._tw.fullwidth, color_system=None, force_terminal=False, emoji=False)
    console.print(terminal(table.query("status != 'pending'"), console.width))
    return text.getvalue().rstrip()


def line_of(row: Mapping[str, Any]) -> str:
    """Return the rates that a row has, in its unit, with metric, number of images and flags, on one line."""
    rates = [f"gfr {_interval(row, 'gfr')}"]
    if _is_known(row, "clean"):
        rates.append(f"clean {_number(row, 'clean')}")
    if _is_known(row, "clean_drop"):
        rates.append(f"drop {_number(row, 'clean_drop')}")
    if _is_known(row, "robust"):
        rates.append(f"robust {_interval(row, 'robust')}")
    flags = f", flagged: {row['flagged']}" if row.get("flagged") else ""
    return f"{', '.join(rates)} ({row['metric']}, n = {row['n']}{flags})"


def _is_known(row: Mapping[str, Any], rate: str) -> bool:
    """Return whether a row has this rate; images without labels have only the fooling rate."""
    return rate in row and not pd.isna(row[rate])


def _interval(row: Mapping[str, Any], rate: str) -> str:
    return f"{_number(row, rate)} [{_number(row, f'{rate}_low')}, {_number(row, f'{rate}_high')}]"


def _number(row: Mapping[str, Any], column: str) -> str:
    return f"{row[column]:.{shown_decimals(row['unit'], column)[0]}f}"
