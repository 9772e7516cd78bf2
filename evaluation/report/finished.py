"""Read a finished run from its manifest and ledger, without loading networks or data; read access is enough."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..leaderboard.scored_rows import ScoredRow, scored_rows
from ..leaderboard.source import ScoredRun
from ..ledger.ledger import Ledger
from .manifest import read_manifest
from .results import LEDGER


@contextmanager
def finished_run(folder: Path) -> Iterator[ScoredRun]:
    """Open the run in a folder. Raises OutputError if the folder holds no run, or a damaged one."""
    recipe, facts = read_manifest(folder)
    with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
        yield ScoredRun(recipe=recipe, facts=facts, ledger=ledger)


def finished_rows(folder: Path) -> list[ScoredRow]:
    """Return the rows of the run in a folder, with their scores. Raises OutputError as `finished_run` does."""
    with finished_run(folder) as run:
        return scored_rows(str(folder), run)
