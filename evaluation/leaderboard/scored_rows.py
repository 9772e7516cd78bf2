"""The rows of a run with their scores image by image, which is what two of them are compared by."""

from dataclasses import dataclass
from typing import Any

from ..grid.facts import Facts
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .flags import twice
from .scores import Scores
from .source import Source
from .system_rows import Row, flag_twice
from .table import sources, system_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRow:
    """`row` has the columns of the leaderboard; `run` is where it is from, `identity` what its network brings into it.

    `scores` are None where it is not finished.
    """

    run: str
    row: Row
    identity: dict[str, Any]
    scores: Scores | None


def scored_rows(run: str, recipe: Recipe, facts: Facts, ledger: Ledger) -> list[ScoredRow]:
    """All rows of a leaderboard, worst cases too."""
    return [found for source in sources(recipe, facts, ledger) for found in _of_source(run, source)]


def _of_source(run: str, source: Source) -> list[ScoredRow]:
    found, fingerprints = [], {}
    for system in system_rows(source):
        fingerprints |= system.findings.fingerprints
        for row, scores in system.scored():
            found.append(ScoredRow(run=run, row=row, identity=source.identity, scores=scores))
    flag_twice([one.row for one in found], twice(fingerprints))
    return found
