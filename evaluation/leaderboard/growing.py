"""Make the rows of a run one by one while its ledger grows, reading what they share only once.

They lack the columns that compare one row with another, as `gfr_gap` and `recovered`.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property

from ..grid.cells import Cell
from ..grid.planned import Planned
from .findings import Findings, scores_of
from .flags import twice
from .grouping import grouped
from .rates import point
from .scores import Scores
from .source import MissingScoresError, ScoredRun, Source
from .system_rows import SystemRows, flag_twice
from .undefended import Undefended
from .verdicts import MadeRow, bare_scores, made_row, system_of


class GrowingRows:
    """The rows of a run, for all models and metrics, made as they are asked for."""

    def __init__(self, run: ScoredRun) -> None:
        self._of_sources = [_OfSource(source) for source in run.sources]

    def made(self, plan: Planned) -> Iterator[MadeRow]:
        """Yield a planned row for each metric, with the flags that all cells finished by now raise."""
        for of_source in self._of_sources:
            if of_source.model == plan.facts["model"]:
                yield of_source.made(plan)


class _OfSource:
    def __init__(self, source: Source) -> None:
        self._source, self.model = source, source.model
        self._findings: dict[str, Findings] = {}
        self._bare: Scores | None = None

    def made(self, plan: Planned) -> MadeRow:
        findings = self._findings.setdefault(system_of(plan), Findings(self._source))
        bare = self._bare_scores()
        undefended = None if bare is None or "clean" not in bare else Undefended(clean=point(bare, "clean"))
        system = SystemRows(self._source, plan.cells, undefended, findings)
        for key, cell in self._cells[system.digest].items():
            if key not in findings:
                with suppress(MissingScoresError):  # not finished yet, or failed
                    findings.add(key, cell, scores_of(self._source, cell))
        made = made_row(system, self._source, plan, bare)
        flag_twice([made.row], twice(findings.fingerprints))
        return made

    @cached_property
    def _cells(self) -> dict[str, dict[str, Cell]]:
        """The cells by the digest of the defense, then by key."""
        systems = grouped(self._source.cells, lambda cell: cell.defense.digest)
        return {digest: {self._source.key(cell): cell for cell in same} for digest, same in systems.items()}

    def _bare_scores(self) -> Scores | None:
        """Return the scores of the bare network, cached once there are any."""
        if self._bare is None:
            self._bare = bare_scores(self._source)
        return self._bare
