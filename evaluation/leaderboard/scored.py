"""The rows of a run with their outcomes image by image, which is what two of them are compared by."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError
from ..grid.facts import Facts
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .flags import twice
from .paired import Difference
from .rates import difference_between
from .scores import Scores
from .source import Source
from .system_rows import Row, flag_twice
from .table import sources, system_rows
from .units import difference_in_unit

Rate = Literal["gfr", "robust"]
"""What is compared: how often attacks change an answer, or how often it stays right."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowScores:
    """The `scores` of a row, of which a `rate` is compared."""

    scores: Scores
    rate: Rate

    @property
    def samples(self) -> NDArray[np.int64]:
        return self.scores.images["sample"].to_numpy()

    def against(self, other: "RowScores") -> Difference:
        """The other minus this one, in the unit of a leaderboard. Both are of the same images and metric."""
        found = difference_between(self.scores, other.scores, self.rate)
        return difference_in_unit(self.scores.metric, self.rate, found)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRow:
    """`row` has the columns of the leaderboard; `run` is where it is from, `identity` what its network brings into it.

    `outcomes` are None where it is not finished.
    """

    run: str
    row: Row
    identity: dict[str, Any]
    outcomes: RowScores | None


def scored_rows(run: str, recipe: Recipe, facts: Facts, ledger: Ledger, of: Rate) -> list[ScoredRow]:
    """All rows of a leaderboard, worst cases too. Raises InputError where nothing is `robust`, for want of labels."""
    return [found for source in sources(recipe, facts, ledger) for found in _of_source(run, source, of)]


def _of_source(run: str, source: Source, of: Rate) -> list[ScoredRow]:
    found, fingerprints = [], {}
    for system in system_rows(source):
        fingerprints |= system.findings.fingerprints
        for row, scores in system.scored():
            if scores is not None and of not in scores:
                raise InputError(f"The images of {run} have no labels, so that nothing can be right: compare of gfr.")
            outcomes = None if scores is None else RowScores(scores=scores, rate=of)
            found.append(ScoredRow(run=run, row=row, identity=source.identity, outcomes=outcomes))
    flag_twice([one.row for one in found], twice(fingerprints))
    return found
