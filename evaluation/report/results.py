"""The result folder of a run: ledger, manifest, leaderboard as CSV and Markdown, and perturbations."""

import shutil
import sys
from pathlib import Path

import pandas as pd
import torch

from ...core.errors import ConfigError, FoolbenchError, OutputError
from ...core.files import remove_leftovers, writable_folder, write_whole
from ..engine.cache.exclusive import LOCKS
from ..grid.facts import Facts
from ..leaderboard.source import ScoredRun
from ..leaderboard.table import leaderboard
from ..ledger.ledger import Ledger
from ..ledger.restoring import restore
from ..recipe.recipe import Recipe
from .lock import lock
from .manifest import name_makers, write_manifest
from .tables import markdown
from .text import for_csv

LEDGER, CSV, MARKDOWN = "ledger.sqlite", "leaderboard.csv", "leaderboard.md"


class Results:
    """A result folder, locked for writing. Raises OutputError if it cannot be made or another run writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)
        self._lock = lock(folder)
        try:
            remove_leftovers(folder)
            if told := restore(folder / LEDGER):  # under the lock: no other process can have it open
                print(told, file=sys.stderr)
            self.ledger = Ledger(folder / LEDGER)
        except FoolbenchError:
            self._lock.release()
            raise

    def close(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder / LOCKS, ignore_errors=True)  # of this run's processes, which have ended
        self._lock.release()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, recipe: Recipe, facts: Facts) -> ScoredRun:
        return ScoredRun(recipe=recipe, facts=facts, ledger=self.ledger)

    def write_manifest(self, run: ScoredRun, device: str) -> None:
        write_manifest(self.folder, run, device, sys.argv)

    def write_leaderboard(self, run: ScoredRun) -> pd.DataFrame:
        """Write the leaderboard from the ledger, update the makers in the manifest, and return the table."""
        table = leaderboard(run)
        self.write_table(table)
        name_makers(self.folder, self.ledger)
        return table

    def check_not_fewer(self, table: pd.DataFrame) -> None:
        """Raise OutputError if the table has fewer finished rows than the leaderboard that is to be rewritten."""
        path = self.folder / CSV
        before, found = _finished_rows(path), int((table.status == "ok").sum())
        if found < before:
            raise OutputError(
                f"{path} has {before} finished rows, of which the ledger has {found} by the code of today: what they "
                "were made with has been edited since, or the ledger is damaged. Run the recipe again for new ones."
            )

    def write_table(self, table: pd.DataFrame) -> None:
        _write(self.folder / CSV, for_csv(table).to_csv(index=False))
        _write(self.folder / MARKDOWN, markdown(table))


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; the ledger keeps all scores.") from None


def _finished_rows(path: Path) -> int:
    """Return the number of finished rows in a leaderboard.csv; 0 if it is missing, damaged or rewritten."""
    try:
        table = pd.read_csv(path, usecols=["recipe", "status"], dtype=str)
        return int((table.status == "ok").sum())
    except (OSError, ValueError, MemoryError):  # errors of pandas and of UTF-8 are ValueErrors
        return 0


def choose_device(device: str) -> str:
    """Return the device to use; "auto" is the GPU if there is one. Raises ConfigError for one that torch lacks."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    expected = f"Expected --device auto, cpu or a GPU of this machine, got {device!r}"
    try:
        torch.device(device)
    except RuntimeError:  # its message lists every kind of device
        raise ConfigError(f"{expected}.") from None
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # noqa: BLE001 (each kind of missing device raises another exception)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{expected}: {reason}.") from None
    return device
