"""Leaderboard rows together with their scores image by image, as paired comparisons need them."""

from dataclasses import dataclass
from typing import Any

from .flags import twice
from .scores import Scores
from .source import ScoredRun, Source
from .system_rows import Row, flag_twice
from .table import system_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRow:
    """A leaderboard row with its scores image by image, which are None unless it is finished.

    `row` has the columns of the leaderboard, `run` names the run that it is from, and `identity` has the facts that
    identify its network, data and version of foolbench.
    """

    run: str
    row: Row
    identity: dict[str, Any]
    scores: Scores | None


def scored_rows(name: str, run: ScoredRun) -> list[ScoredRow]:
    """Return all rows of a run's leaderboard, including those of worst cases and means; `name` names the run."""
    return [found for source in run.sources for found in _of_source(name, source)]


def _of_source(name: str, source: Source) -> list[ScoredRow]:
    found, fingerprints = [], {}
    for system in system_rows(source):
        fingerprints |= system.findings.fingerprints
        for row, scores in system.scored():
            found.append(ScoredRow(run=name, row=row, identity=source.identity, scores=scores))
    flag_twice([one.row for one in found], twice(fingerprints))
    return found
