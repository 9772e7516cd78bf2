"""`foolbench compare`: print paired comparisons of systems on the same images, with intervals and p-values."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from ...core.errors import OutputError, why
from ...core.files import write_whole
from ..leaderboard.units import shown_decimals
from ..report.text import for_csv
from .console import console, printable

SURE = 0.05
TESTS = {
    "mcnemar": "McNemar's exact test, Tango's interval",
    "permutation": "permutation test, bootstrapped interval",
}
UNITS = " in percent, errors in their own unit; difference in points or in that unit"


def show(table: pd.DataFrame, *, as_json: bool, csv: Path | None) -> None:
    """Print a table of comparisons, or its JSON, and write it to the file `csv` if one is given.

    Raises OutputError if the file cannot be written.
    """
    if csv is not None:
        try:
            write_whole(csv, for_csv(table).to_csv(index=False).encode("utf-8", "replace"))
        except OSError as error:
            raise OutputError(f"Expected --csv to name a file that can be written, got {csv}: {why(error)}.") from None
    if as_json:
        print(json.dumps(_as_json(table), indent=2, allow_nan=False))
        return
    for line in _heading(table):
        _say(line, "dim")
    for setting, part in table.groupby("setting", sort=False):
        _say(f"{setting}, n = {part.n.iloc[0]}{_clusters(part)}", "bold")
        console.print(_lines(part))
    for line in _flags(table):
        _say(f"* {line}", "yellow")
    for line in _errors(table):
        _say(line, "red")


def _as_json(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows for JSON, which has no infinity: an infinite budget becomes "inf", as in recipes and tables."""
    known = table.astype(object).replace(math.inf, "inf")
    return known.where(table.notna(), None).to_dict("records")


def _say(text: str, style: str) -> None:
    """Print a line, wrapped between words at the width of the tables."""
    console.print(Text(printable(text), style=style))


def _heading(table: pd.DataFrame) -> list[str]:
    ok = table[table.status == "ok"]
    fooling = table.rate.iloc[0] == "gfr"
    what = "Generalized fooling rate" if fooling else "Rate of right answers under attack"
    units = " in percent; difference in points" if fooling or "error" not in set(table.unit) else UNITS
    tests = " or ".join(TESTS[test] for test in ok.test.unique())
    return [
        f"{what} ({', '.join(table.metric.unique())}){units} with its 95% interval.",
        f"p: by Holm for all {len(ok)} comparisons. {tests[:1].upper()}{tests[1:]}.",
        "needs: how many images show half of the difference (power 80%, level 5%).",
    ]


def _clusters(part: pd.DataFrame) -> str:
    found = part.clusters.dropna()
    return "" if found.empty else f" in {found.iloc[0]} clusters"


def _lines(part: pd.DataFrame) -> Table:
    """Return a table of comparisons; a narrow terminal wraps the names, but never the numbers."""
    shown = Table()
    shown.add_column("compared", overflow="fold")
    for heading in ("rates", "difference", "p", "needs"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in part.to_dict("records"):
        shown.add_row(Text(printable(f"{row['second']} - {row['first']}")), *_cells(row))
    return shown


def _cells(row: dict[Any, Any]) -> list[Text]:
    if row["status"] != "ok":
        return [Text(row["status"], style="red"), *(Text("-") for _ in range(3))]
    digits, _ = shown_decimals(row["unit"], row["rate"])
    first, second = (
        f"{row[f'rate_{side}']:.{digits}f}{'*' * bool(row[f'flagged_{side}'])}" for side in ("first", "second")
    )
    interval = f"[{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
    needed = "-" if pd.isna(row["images_needed"]) else str(row["images_needed"])
    sure = "bold" if row["p_holm"] < SURE else ""
    return [
        Text(f"{second} - {first}"),
        Text(f"{row['difference']:+.{digits}f} {interval}", style=sure),
        Text(_p(row["p_holm"]), style=sure),
        Text(needed),
    ]


def _p(value: float) -> str:
    return "<.0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0")


def _flags(table: pd.DataFrame) -> list[str]:
    found: dict[str, list[str]] = {}
    for row in table.to_dict("records"):
        for side in ("first", "second"):
            for flag in row[f"flagged_{side}"].split():
                found.setdefault(flag, []).append(f"{row[side]} in {row['setting']}")
    return [f"{flag}: {'; '.join(dict.fromkeys(where))}" for flag, where in found.items()]


def _errors(table: pd.DataFrame) -> list[str]:
    return [f"{row['setting']}: {row['error']}" for row in table.to_dict("records") if row["status"] == "error"]
