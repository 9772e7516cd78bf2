"""The rows of a run with their scores image by image, which is what two of them are compared by."""

from dataclasses import dataclass
from typing import Any

from .flags import twice
from .scores import Scores
from .source import ScoredRun, Source
from .system_rows import Row, flag_twice
from .table import system_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRow:
    """`row` has the columns of the leaderboard; `run` is where it is from, `identity` what its network brings into it.

    `scores` are None where it is not finished.
    """

    run: str
    row: Row
    identity: dict[str, Any]
    scores: Scores | None


def scored_rows(name: str, run: ScoredRun) -> list[ScoredRow]:
    """Return all rows of a run's leaderboard, worst cases too; `name` says where they are from."""
    return [found for source in run.sources for found in _of_source(name, source)]


def _of_source(name: str, source: Source) -> list[ScoredRow]:
    found, fingerprints = [], {}
    for system in system_rows(source):
        fingerprints |= system.findings.fingerprints
        for row, scores in system.scored():
            found.append(ScoredRow(run=name, row=row, identity=source.identity, scores=scores))
    flag_twice([one.row for one in found], twice(fingerprints))
    return found
