"""What the session says of its runs at its end."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

import pandas as pd
from rich.console import Console

from ..report.tables import terminal
from .benches import Bench


def write_summary(reporter: Any, benches: Iterable[Bench], lines: Sequence[str]) -> None:
    """The tables of runs, what gates and a baseline came to, and what the fixture has found."""
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
    """Without the rows that were not asked for."""
    text = StringIO()
    console = Console(file=text, width=reporter._tw.fullwidth, color_system=None, force_terminal=False)
    console.print(terminal(table.query("status != 'pending'"), console.width))
    return text.getvalue().rstrip()


def line_of(row: Mapping[str, Any]) -> str:
    """The rates of one row, in percent, in a line."""
    rates = [f"gfr {row['gfr']:.1f} [{row['gfr_low']:.1f}, {row['gfr_high']:.1f}]"]
    if row.get("clean") is not None:
        rates.append(f"clean {row['clean']:.1f}")
    if row.get("clean_drop") is not None:
        rates.append(f"drop {row['clean_drop']:.1f}")
    if row.get("robust") is not None:
        rates.append(f"robust {row['robust']:.1f} [{row['robust_low']:.1f}, {row['robust_high']:.1f}]")
    flags = f", flagged: {row['flagged']}" if row.get("flagged") else ""
    return f"{', '.join(rates)} ({row['metric']}, n = {row['n']}{flags})"
