"""What the attacks on one system, whatever they know of it, say about each other."""

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
    """Of a finished cell, with the columns that only some attacks have. Raises MissingScoresError."""
    return with_query_areas(cell, with_areas(cell, source.scores(cell)))


class Findings:
    """They come one by one, and each is compared with those before it. Of the scores is kept only what that takes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: dict[str, Finding] = {}
        self.fingerprints: dict[str, tuple[str, Fingerprint | None]] = {}
        """By the keys of cells, with the jobs that crafted."""

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def add(self, key: str, cell: Cell, scores: Scores) -> None:
        """Of a finished cell; once is enough."""
        if key in self._found:
            return
        before = cell.job.after
        finding = Finding(
            cell.job.attack,
            scores.images.filter(["gfr", "cluster"]).copy(),  # not as a view, by which all would be kept
            direct=cell.direct,
            source=cell.job.source,
            through=cell.job.through.digest,
            after=None if before is None else before.attack,
            training=str(cell.job.training.told or ""),
            flags=set(scores.flags) | _boundary(cell),
        )
        if not self._source.metric.error:  # of which no attack comes near the largest there can be
            finding.flags |= resistance_flags(finding, partial(_gfr_high, scores))
        for other in self._found.values():
            compare(finding, other)
        self._found[key] = finding
        self.fingerprints[key] = self._source.run.grid.key(cell.job), fingerprint(scores.images)

    def flags(self, key: str) -> set[str]:
        """What is against a cell, as far as others are known."""
        return self._found[key].flags


def _gfr_high(scores: Scores) -> float:
    """In percent, as all fooling rates are."""
    return 100 * rate(scores, "gfr").high


def _boundary(cell: Cell) -> set[str]:
    attack = cell.job.attack
    return {BOUNDARY} if not cell.direct and isinstance(attack, Attack) and attack.stops_at_boundary else set()
