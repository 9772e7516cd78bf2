"""Compare all attacks on one system, whatever their knowledge, and collect the flags that this raises."""

from functools import partial

from ...core.attack import Attack
from ..grid.cells import Cell
from .distances import with_areas
from .flags import BOUNDARY, Finding, Fingerprint, compare, fingerprint, resistance_flags
from .queries import with_query_areas
from .rates import rate
from .scores import Scores
from .source import Source


def scores_of(source: Source, cell: Cell) -> Scores:
    """Return the scores of a cell, with the areas under curves for attacks that have them.

    Raises MissingScoresError for a cell that failed or is not finished.
    """
    return with_query_areas(cell, with_areas(cell, source.scores(cell)))


class Findings:
    """The findings on one system's cells, each compared with all earlier ones as it is added.

    Only the columns of the scores that comparisons need are kept.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: dict[str, Finding] = {}
        self.fingerprints: dict[str, tuple[str, Fingerprint | None]] = {}
        """The key of the job and the fingerprint of the scores, by the key of the cell."""

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def add(self, key: str, cell: Cell, scores: Scores) -> None:
        """Add the scores of a finished cell, unless it was added before."""
        if key in self._found:
            return
        before = cell.job.after
        finding = Finding(
            cell.job.attack,
            scores.images.filter(["gfr", "cluster"]).copy(),  # a view would keep all columns alive
            direct=cell.direct,
            source=cell.job.source,
            through=cell.job.through.digest,
            after=None if before is None else before.attack,
            training=str(cell.job.training.told or ""),
            flags=set(scores.flags) | _boundary(cell),
        )
        if not self._source.metric.error:  # no attack comes near the largest possible error
            finding.flags |= resistance_flags(finding, partial(_gfr_high, scores))
        for other in self._found.values():
            compare(finding, other)
        self._found[key] = finding
        self.fingerprints[key] = self._source.run.grid.key(cell.job), fingerprint(scores.images)

    def flags(self, key: str) -> set[str]:
        """Return the flags of a cell, as far as comparisons with the cells added so far raise them."""
        return self._found[key].flags


def _gfr_high(scores: Scores) -> float:
    """Return the upper end of the interval of the fooling rate, in percent."""
    return 100 * rate(scores, "gfr").high


def _boundary(cell: Cell) -> set[str]:
    attack = cell.job.attack
    return {BOUNDARY} if not cell.direct and isinstance(attack, Attack) and attack.stops_at_boundary else set()
