"""Whether a run is worse than an earlier one, by the test of `foolbench compare`, corrected for all of its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...core.errors import InputError, OutputError
from ...core.files import is_file, is_folder
from ..grid.labels import knowledges
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

_SAME = (
    *("model", "attack", "attack_params", "seed", "source_model", "knowledge", "norm", "eps", "defense"),
    *("defense_params", "source_defense", "source_defense_params", "metric", "unit", "dataset"),
)
"""The columns in which a row is the same as one of an earlier table."""


class Change(NamedTuple):
    """Of a rate of one row, in its `unit`, from `before` to `now`; p is corrected for all changes."""

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
        """More than chance explains."""
        return self.p < LEVEL and for_the_worse(self.unit, self.rate) * (self.now - self.before) > 0

    def __str__(self) -> str:
        digits, _ = shown_decimals(self.unit, self.rate)
        rates = f"{self.before:.{digits}f} -> {self.now:.{digits}f}"
        interval = f"{self.now - self.before:+.{digits}f} [{self.low:+.{digits}f}, {self.high:+.{digits}f}]"
        return f"{self.row}: {self.rate} {rates}, {interval}, p = {self.p:.2g}"


class Changes(NamedTuple):
    """`found` are those of all rows that both runs have finished; `failed` counts rows that one of them has not."""

    found: Sequence[Change]
    failed: int


def changes(run: Path, baseline: Path) -> Changes:
    """Of fooling rates and, where there are labels, robust rates: a finished run against an earlier one, or its table.

    Image by image against the folder of a run, which must be of the same images and version; against a table alone by
    intervals. Raises InputError where no row is finished in both, OutputError for what is neither.
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
    """Raises OutputError for what is no folder and no file; None where nobody said any."""
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
    """Without labels nothing is right."""
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
    """`several`: of the task's metrics."""
    before, now = (
        Estimate(*(float(row[name]) for name in (rate, f"{rate}_low", f"{rate}_high"))) for row in (first, second)
    )
    seen = unpaired(before, now)
    setting = f"{second['model']} x {second['attack']} x {second['defense']}, {knowledges([second])[0]}"
    setting += f", {second['metric']}" if several else ""
    return Change(setting, second["unit"], rate, before.mean, now.mean, seen.low, seen.high, seen.p)
