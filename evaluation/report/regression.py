"""Whether a run is worse than an earlier one, by the test of `foolbench compare`, corrected for all of its rows."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ...core.errors import InputError, OutputError
from ...core.files import is_file, is_folder
from ..leaderboard.paired import LEVEL, holm
from ..leaderboard.pairing import pairs_between
from ..leaderboard.part import TextRow
from ..leaderboard.scored import Rate, ScoredRow, scored_rows
from ..leaderboard.stats import Estimate
from ..leaderboard.system_rows import Row
from ..leaderboard.unpaired import unpaired
from ..ledger.ledger import Ledger
from .claims import read_rows
from .results import LEDGER, read_manifest

_SAME = (
    *("model", "attack", "attack_params", "seed", "source_model", "knowledge", "norm", "eps", "defense"),
    *("defense_params", "metric", "dataset"),
)
"""The columns in which a row is the same as one of an earlier table."""
_SIGN = {"gfr": 1, "robust": -1}
"""Of a difference that is for the worse."""


class Change(NamedTuple):
    """Of a rate of one row, in points, from `before` to `now`; p is corrected for all changes."""

    row: str
    rate: Rate
    before: float
    now: float
    low: float
    high: float
    p: float

    @property
    def is_worse(self) -> bool:
        """More than chance explains."""
        return self.p < LEVEL and _SIGN[self.rate] * (self.now - self.before) > 0

    def __str__(self) -> str:
        interval = f"{self.now - self.before:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"
        return f"{self.row}: {self.rate} {self.before:.1f} -> {self.now:.1f}, {interval}, p = {self.p:.2g}"


def changes(run: Path, baseline: Path) -> list[Change]:
    """Of fooling rates and, where there are labels, robust rates: a finished run against an earlier one, or its table.

    Image by image against the folder of a run, which must be of the same images and version; against a table alone by
    intervals. Raises InputError where no row is in both, OutputError for what is neither.
    """
    if is_folder(baseline):
        if baseline.resolve() == run.resolve():
            raise InputError(f"Expected another run as baseline, got {baseline}, which this run is written to.")
        found = _image_by_image(run, baseline)
    elif is_file(baseline):
        found = _by_intervals(run, baseline)
    else:
        raise OutputError(f"Expected the folder of an earlier run, or its leaderboard.csv, found none at {baseline}.")
    corrected = holm([change.p for change in found])
    return [change._replace(p=p) for change, p in zip(found, corrected, strict=True)]


def _image_by_image(run: Path, baseline: Path) -> list[Change]:
    found = []
    for rate in _rates(run):
        for pair in pairs_between(_rows(baseline, rate), _rows(run, rate), None, None):
            first, second = pair.first.outcomes, pair.second.outcomes
            if first is not None and second is not None:
                seen = first.against(second)
                before, now, low, high = (100 * value for value in (seen.first, seen.second, seen.low, seen.high))
                found.append(Change(pair.setting, rate, before, now, low, high, seen.p))
    return found


def _rates(run: Path) -> Sequence[Rate]:
    """Without labels nothing is right."""
    labelled = all("robust" in scored.row for scored in _rows(run, "gfr") if scored.outcomes is not None)
    return ("gfr", "robust") if labelled else ("gfr",)


def _rows(run: Path, rate: Rate) -> list[ScoredRow]:
    recipe, facts = read_manifest(run)
    with closing(Ledger(run / LEDGER, read_only=True)) as ledger:
        return scored_rows(str(run), recipe, facts, ledger, rate)


def _by_intervals(run: Path, table: Path) -> list[Change]:
    before = {_same(row): row for row in read_rows(table) if row["status"] == "ok"}
    now = [scored.row for scored in _rows(run, "gfr") if scored.outcomes is not None]
    pairs = [(before[_same(row)], row) for row in now if _same(row) in before]
    if not pairs:
        raise InputError(f"No finished row of this run is in {table}: nothing can be compared.")
    return [_change(first, second, rate) for first, second in pairs for rate in _rates(run) if first.get(rate)]


def _same(row: TextRow | Row) -> tuple[str, ...]:
    values = (row.get(name) for name in _SAME)  # tables of before there were seeds have no such column
    return tuple("" if value is None else str(value) for value in values)


def _change(first: TextRow, second: Row, rate: Rate) -> Change:
    before, now = (
        Estimate(*(float(row[name]) for name in (rate, f"{rate}_low", f"{rate}_high"))) for row in (first, second)
    )
    seen = unpaired(before, now)
    setting = f"{second['model']} x {second['attack']} x {second['defense']}, {second['knowledge']}"
    return Change(setting, rate, before.mean, now.mean, seen.low, seen.high, seen.p)
