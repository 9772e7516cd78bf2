"""Collect a recipe as a test file, with a test for each row of its leaderboard, which gates of the recipe may fail."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ...core.errors import FoolbenchError
from ..grid.planned import Planned
from ..leaderboard.verdicts import MadeRow, Verdict, judged
from ..opening.recipes import recipe_path
from ..report.regression import changes, check_baseline
from .benches import Bench, Benches
from .speed import speed_tests
from .summary import line_of

NUMBERS = (
    *("n", "clean", "clean_drop", "gfr", "gfr_low", "gfr_high", "floor", "robust", "robust_low", "robust_high"),
    *("seconds", "flagged"),
)
"""The leaderboard columns that a test report carries as user properties."""


def recipe_files(config: pytest.Config) -> list[str]:
    """Return the recipe files that `--foolbench` names. Raises UsageError for an argument that names none."""
    found = []
    for source in config.getoption("foolbench") or []:
        try:
            path = config.invocation_params.dir / recipe_path(source)
        except FoolbenchError as error:
            raise pytest.UsageError(str(error)) from None
        if not path.is_file():
            raise pytest.UsageError(f"Expected --foolbench to name a recipe, found no file at {path}.")
        found.append(os.path.abspath(path))  # noqa: PTH100 (keeps symbolic links)
    return found


class RecipeFile(pytest.File):
    """A recipe as a test file, with tests named like `resnet50-jpeg-pgd`."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            bench = Benches.of(self.config).bench(self.path)
        except FoolbenchError as error:
            raise self.CollectError(str(error)) from None
        for plan in bench.rows:
            yield RowItem.from_parent(self, name=plan.name, bench=bench, plan=plan)
        yield from speed_tests(self, bench)
        baseline = self.config.getoption("foolbench_baseline")
        if baseline is not None:
            path = self.config.invocation_params.dir / baseline
            try:
                check_baseline(path if baseline else None)
            except FoolbenchError as error:
                raise self.CollectError(str(error)) from None
            yield BaselineItem.from_parent(self, name="baseline", bench=bench, baseline=path)


class RecipeItem(pytest.Item):
    """A test of a recipe, whose failures are shown as a sentence instead of a traceback."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, pytest.fail.Exception | FoolbenchError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        return self.path, 0, self.name


class RowItem(RecipeItem):
    """The test of a leaderboard row: an error if a cell fails, a failure if a gate does."""

    def __init__(self, *, bench: Bench, plan: Planned, **facts: Any) -> None:
        super().__init__(**facts)
        self._bench, self._plan = bench, plan
        self._made: Sequence[MadeRow] = ()

    def setup(self) -> None:
        """Execute the row; failures in the setup phase are errors to pytest, not test failures."""
        try:
            self._made = self._bench.made(self._plan)
        except FoolbenchError as error:
            pytest.fail(str(error), pytrace=False)
        failed = [made.row["error"] for made in self._made if made.row["status"] != "ok"]
        if failed:
            pytest.fail(failed[0], pytrace=False)

    def runtest(self) -> None:
        several = len(self._made) > 1
        verdicts: list[Verdict] = []
        for made in self._made:
            self._report(made, f"{made.row['metric']} " if several else "")
            verdicts += judged(made)
        for verdict in verdicts:
            self.user_properties.append(("foolbench gate", verdict.told))
        self._judge(verdicts)

    def _report(self, made: MadeRow, prefix: str) -> None:
        """Add the numbers as user properties, which JUnit files contain, too, and as a report section."""
        for name in NUMBERS:
            value = made.row.get(name)
            if value is not None:  # xdist serialises plain numbers only
                self.user_properties.append((prefix + name, value.item() if isinstance(value, np.generic) else value))
        self.add_report_section("call", "foolbench", line_of(made.row))

    def _judge(self, verdicts: Sequence[Verdict]) -> None:
        told = [verdict.told for verdict in verdicts if verdict.outcome in ("failed", "unknown")]
        if told:
            pytest.fail("\n".join(told), pytrace=False)
        open_ones = [verdict.told for verdict in verdicts if verdict.outcome == "undecided"]
        if open_ones:
            self.undecided = "; ".join(open_ones)
            pytest.skip(self.undecided)


class BaselineItem(RecipeItem):
    """The comparison with a baseline, the last test of a recipe.

    It executes all rows that are missing, because p-values are corrected for the number of rows.
    """

    def __init__(self, *, bench: Bench, baseline: Path, **facts: Any) -> None:
        super().__init__(**facts)
        self._bench, self._baseline = bench, baseline

    def setup(self) -> None:
        try:
            for plan in self._bench.rows:
                self._bench.finish(plan)
        except FoolbenchError as error:
            pytest.fail(str(error), pytrace=False)

    def runtest(self) -> None:
        found, failed = changes(self._bench.folder, self._baseline)
        worse = [change for change in found if change.is_worse]
        told = f"{len(worse)} of {len(found)} rates are significantly worse than in {self._baseline}"
        told += f"; {failed} rows that have failed, now or then, are not compared" if failed else ""
        self.user_properties.append(("foolbench", told))
        self.add_report_section("call", "foolbench", "\n".join(map(str, found)))
        if worse:
            pytest.fail("\n".join([f"{told} (p corrected by Holm's method):", *map(str, worse)]), pytrace=False)
