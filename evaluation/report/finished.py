"""Read a finished run from its manifest and ledger, without loading networks or data; read access is enough."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..grid.facts import Facts
from ..leaderboard.curve import Curve
from ..leaderboard.curves import curves
from ..leaderboard.layers import Moved, moved_layers
from ..leaderboard.scored_rows import ScoredRow, scored_rows
from ..leaderboard.table import leaderboard
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .manifest import read_manifest
from .results import LEDGER


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run in its result folder; each method reads the ledger anew."""

    folder: Path
    recipe: Recipe
    facts: Facts
    ledger: Ledger

    def leaderboard(self) -> pd.DataFrame:
        return leaderboard(self.recipe, self.facts, self.ledger)

    def curves(self) -> list[Curve]:
        return curves(self.recipe, self.facts, self.ledger)

    def layers(self) -> list[Moved]:
        """Return how far the recipe's layers moved under attack."""
        return moved_layers(self.recipe, self.facts, self.ledger)

    def scored_rows(self) -> list[ScoredRow]:
        return scored_rows(str(self.folder), self.recipe, self.facts, self.ledger)


@contextmanager
def finished_run(folder: Path) -> Iterator[FinishedRun]:
    """Open the run in a folder. Raises OutputError for a folder without a run, and for a damaged one."""
    recipe, facts = read_manifest(folder)
    with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
        yield FinishedRun(folder=folder, recipe=recipe, facts=facts, ledger=ledger)
