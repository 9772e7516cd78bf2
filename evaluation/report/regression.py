"""Test whether a run is worse than an earlier one as `foolbench compare` does, with p-values corrected for all rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...core.errors import InputError, OutputError
from ...core.files import is_file, is_folder
from ..grid.labels import knowledges
from ..leaderboard.columns import CELL
from ..leaderboard.paired import LEVEL, holm
from ..leaderboard.pairing import Rate, pairs_between
from ..leaderboard.part import TextRow
from ..leaderboard.scored_rows import ScoredRow
from ..leaderboard.stats import Estimate
from ..leaderboard.system_rows import Row
from ..leaderboard.units import for_the_worse, shown_decimals
from ..leaderboard.unpaired import unpaired
from .claims import read_rows
from .finished import finished_rows

_SAME = (*CELL, "metric", "unit", "dataset")
"""The columns by which a row is matched with one of an earlier table."""


class Change(NamedTuple):
    """The change of one row's rate from `before` to `now`, in its `unit`.

    `low` and `high` are the interval of the difference; `p` is corrected for all changes.
    """

    row: str
    unit: str
    rate: Rate
    before: float
    now: float
    low: float
    high: float
    p: float

    @property
    def is_worse(self) -> bool:
        """Whether the rate is worse than before, and significantly so."""
        return self.p < LEVEL and for_the_worse(self.unit, self.rate) * (self.now - self.before) > 0

    def __str__(self) -> str:
        digits, _ = shown_decimals(self.unit, self.rate)
        rates = f"{self.before:.{digits}f} -> {self.now:.{digits}f}"
        interval = f"{self.now - self.before:+.{digits}f} [{self.low:+.{digits}f}, {self.high:+.{digits}f}]"
        return f"{self.row}: {self.rate} {rates}, {interval}, p = {self.p:.2g}"


class Changes(NamedTuple):
    """The changes of all rows that both runs have finished; `failed` counts the rows that one of them has not."""

    found: Sequence[Change]
    failed: int


def changes(run: Path, baseline: Path) -> Changes:
    """Return the changes of fooling rates and, with labels, robust rates from an earlier run or its table to a run.

    The folder of an earlier run, which must have the same images and version, is compared image by image; a table alone
    by its intervals. Raises InputError if no row is finished in both, and OutputError if `baseline` is neither.
    """
    check_baseline(baseline)
    if is_folder(baseline):
        if baseline.resolve() == run.resolve():
            raise InputError(f"Expected another run as baseline, got {baseline}, which this run is written to.")
        found = _image_by_image(run, baseline)
    else:
        found = _by_intervals(run, baseline)
    if not found.found:
        raise InputError(f"No row is finished both in {run} and in {baseline}: nothing can be compared.")
    corrected = holm([change.p for change in found.found])
    return found._replace(found=[change._replace(p=p) for change, p in zip(found.found, corrected, strict=True)])


def check_baseline(baseline: Path | None) -> None:
    """Raise OutputError if the baseline is None or no existing folder or file."""
    if baseline is None or not (is_folder(baseline) or is_file(baseline)):
        at = "an empty text" if baseline is None else f"none at {baseline}"
        raise OutputError(f"Expected the folder of an earlier run, or its leaderboard.csv, found {at}.")


def _image_by_image(run: Path, baseline: Path) -> Changes:
    rows, found = finished_rows(run), list[Change]()
    pairs = pairs_between(finished_rows(baseline), rows, None, None)
    for rate in _rates(rows):
        for pair in pairs:
            seen, unit = pair.difference(rate), pair.second.row["unit"]
            if seen is not None:
                found.append(Change(pair.setting, unit, rate, seen.first, seen.second, seen.low, seen.high, seen.p))
    return Changes(found, sum(not pair.is_finished for pair in pairs))


def _rates(rows: Sequence[ScoredRow]) -> Sequence[Rate]:
    """Return the rates to compare; without labels there is no robust rate."""
    labelled = all("robust" in scored.row for scored in rows if scored.scores is not None)
    return ("gfr", "robust") if labelled else ("gfr",)


def _by_intervals(run: Path, table: Path) -> Changes:
    before: dict[tuple[str, ...], TextRow] = {}
    for number, row in enumerate(read_rows(table), start=1):
        if before.setdefault(_same(row), row) is not row:
            raise OutputError(
                f"Row {number} of {table} is of the same cell as an earlier one: give the table of one run."
            )
    rows = finished_rows(run)
    now = [scored.row for scored in rows]
    several = len({row["metric"] for row in now}) > 1
    pairs = [(before[_same(row)], row) for row in now if _same(row) in before]
    finished = [pair for pair in pairs if all(row["status"] == "ok" for row in pair)]
    rates = _rates(rows)
    found = [_change(*pair, rate, several=several) for pair in finished for rate in rates if pair[0].get(rate)]
    return Changes(found, len(pairs) - len(finished))


def _same(row: TextRow | Row) -> tuple[str, ...]:
    values = (row[name] for name in _SAME)
    return tuple("" if value is None else str(value) for value in values)


def _change(first: TextRow, second: Row, rate: Rate, *, several: bool) -> Change:
    """Return the change of one rate; its name includes the metric if the rows have `several`."""
    before, now = (
        Estimate(*(float(row[name]) for name in (rate, f"{rate}_low", f"{rate}_high"))) for row in (first, second)
    )
    seen = unpaired(before, now)
    setting = f"{second['model']} x {second['attack']} x {second['defense']}, {knowledges([second])[0]}"
    setting += f", {second['metric']}" if several else ""
    return Change(setting, second["unit"], rate, before.mean, now.mean, seen.low, seen.high, seen.p)
