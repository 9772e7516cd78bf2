"""The runs of a pytest session: their folders, and the cells that this process executes."""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from ...core.errors import FoolbenchError, OutputError
from ..engine.cache.exclusive import exclusive
from ..engine.networks.networks import Networks
from ..engine.run import Engine
from ..grid.cells import Cell
from ..grid.planned import Planned, planned
from ..leaderboard.growing import GrowingRows
from ..leaderboard.verdicts import MadeRow, bounds_of
from ..opening.recipes import load_recipe
from ..recipe.plugins import load_plugins
from ..recipe.recipe import Recipe
from ..report.execution import joined
from ..report.manifest import MANIFEST, read_manifest
from ..report.results import Results, choose_device
from .plugin import BENCHES


class _Begun(NamedTuple):
    """The objects through which a process takes part in a run."""

    engine: Engine
    networks: Networks
    growing: GrowingRows


@dataclass(eq=False)
class Bench:
    """The run of one recipe in a pytest session; `rows` are all rows that it will have.

    The pytest process locks the result folder, and executes the cells itself or, with xdist, leaves them to workers.
    """

    recipe: Recipe
    folder: Path
    command: Sequence[str]
    rows: list[Planned]
    table: pd.DataFrame | None = None
    problem: str = ""
    _results: Results | None = None
    _engine: "_Begun | FoolbenchError | None" = None
    _part: ExitStack = field(default_factory=ExitStack)

    def hold(self) -> None:
        """Lock the result folder. Raises OutputError if it cannot be made or locked."""
        if self._results is None:
            self._results = Results(self.folder)

    def made(self, plan: Planned) -> list[MadeRow]:
        """Execute a planned row and return it for each metric, finished or failed.

        Raises FoolbenchError if the run cannot start.
        """
        self.finish(plan)
        return list(self._begun().growing.made(plan))

    def finish(self, plan: Planned) -> None:
        """Execute the cells of a row, and the cell that its gates compare it with."""
        engine = self._begun().engine
        for cell in [*self._compared(plan), *plan.cells]:
            with exclusive(self.folder, engine.prepared.grid.key(cell)):  # or another process executes it
                engine.finish([(cell.job, [cell])])

    def _compared(self, plan: Planned) -> list[Cell]:
        """Return a cell of the bare network if a gate bounds the clean drop, with the same attack if there is one."""
        if not any(bound.quantity == "drop" for bound in bounds_of(self.recipe, plan)):
            return []
        whole = [cell for row in self.rows for cell in row.cells if cell.model == plan.facts["model"]]
        bare = [cell for cell in whole if cell.defense.defense is None]
        return sorted(bare, key=lambda cell: cell.job != plan.cells[0].job)[:1]

    @property
    def networks(self) -> Networks:
        """The networks of the recipe, for speed tests. Raises FoolbenchError if the run cannot start."""
        return self._begun().networks

    def _begun(self) -> "_Begun":
        """Join the run once, and raise the same error for all cells if that fails."""
        if self._engine is None:
            try:
                part = joined(self.recipe, self.folder, choose_device("auto"), self.command)
                engine, networks, scored = self._part.enter_context(part)
                self._engine = _Begun(engine, networks, GrowingRows(scored))
            except FoolbenchError as error:
                self._engine = error
        if isinstance(self._engine, FoolbenchError):
            raise self._engine
        return self._engine

    def close(self) -> None:
        """Release the networks and, if this process holds the folder, write its table, also after an interrupt."""
        self._part.close()
        if self._results is None:
            return
        with self._results as results:
            try:
                self.table = self._written(results)
            except FoolbenchError as error:
                self.problem = str(error)
        self._results = None

    def _written(self, results: Results) -> pd.DataFrame | None:
        """Write the leaderboard and return it, or None if no process has written this recipe's manifest."""
        if not (self.folder / MANIFEST).exists():
            return None
        recipe, facts = read_manifest(self.folder)
        return results.write_leaderboard(results.run(recipe, facts)) if recipe == self.recipe else None


class Benches:
    """The benches of a pytest session, by the files of their recipes."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._known: dict[Path, Bench] = {}

    @classmethod
    def of(cls, config: pytest.Config) -> "Benches":
        return config.stash.setdefault(BENCHES, cls(config))

    def bench(self, path: Path) -> Bench:
        """Return the bench of a recipe file. Raises FoolbenchError, in one sentence, for an invalid recipe."""
        if path not in self._known:
            load_plugins([])
            recipe = load_recipe(str(path), self._config.getoption("foolbench_set"))
            self._known[path] = Bench(recipe, self._folder(recipe), _command(self._config), planned(recipe))
        return self._known[path]

    def _folder(self, recipe: Recipe) -> Path:
        chosen = self._config.getoption("foolbench_out")
        base = self._config.invocation_params.dir
        folder = self._config.rootpath / "runs" / recipe.name if chosen is None else base / chosen
        if any(bench.folder == folder for bench in self._known.values()):
            hint = "name the recipes differently" if chosen is None else "leave --foolbench-out out"
            raise OutputError(f"Expected a folder for each recipe, but two would write to {folder}: {hint}.")
        return folder

    def hold(self, items: Iterable[pytest.Item]) -> None:
        """Lock the folders of the tests to run; in an xdist worker do nothing, since the controller holds them."""
        if hasattr(self._config, "workerinput"):
            return
        self.hold_files(dict.fromkeys(item.path for item in items if item.path in self._known))

    def hold_files(self, paths: Iterable[Path]) -> None:
        """Lock the result folders of these recipe files. Raises UsageError if one cannot be locked."""
        for path in paths:
            try:
                self.bench(Path(os.path.abspath(path))).hold()  # noqa: PTH100 (keeps symbolic links)
            except FoolbenchError as error:
                self.close()
                raise pytest.UsageError(str(error)) from None

    def close(self) -> None:
        for bench in self._known.values():
            bench.close()

    @property
    def finished(self) -> list[Bench]:
        """The benches that have written a table, or failed to."""
        return [bench for bench in self._known.values() if bench.table is not None or bench.problem]


def _command(config: Any) -> Sequence[str]:
    """Return the command line of pytest, in an xdist worker that of the controller."""
    return getattr(config, "workerinput", {}).get("mainargv", sys.argv)
