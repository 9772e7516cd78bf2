"""Record the results of a run: in the ledger, in files beside it, and in the progress display."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import ConfigError
from ...core.universal_attack import UniversalAttack
from ..grid.cells import Cell, Job
from ..grid.defenses import NamedDefense
from ..grid.digest import digest
from ..grid.grid import Grid
from ..grid.identity import look
from ..grid.sources import source_hash
from ..ledger.ledger import DamagedRecordError, Doubts, Ledger
from .crafting.perturbation_file import PerturbationFile
from .networks.prepare import Prepared
from .scoring.clean import clean_doubts
from .work.planning import Pending
from .work.progress import Progress
from .work.units import Failed, Found, Scored, Seen


@dataclass(frozen=True, kw_only=True)
class Books:
    """The records of a run: the ledger, the perturbation files in its `folder`, and the `progress` display.

    `doubts` maps each network that was looked at to its flags, or to the failure of its cells.
    """

    prepared: Prepared
    ledger: Ledger
    folder: Path
    progress: Progress
    doubts: dict[str, set[str] | Failed] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        return self.prepared.grid

    def pending(self, job: Job, row: Sequence[Cell]) -> list[Pending]:
        """Return the cells of a job that lack samples. Damaged records are dropped, so that they are computed again."""
        wanted, keys = set(self.prepared.facts.samples), list(map(self.grid.key, row))
        for key in keys:
            self.ledger.mend(key)
        lost = self._has_lost(job, [wanted - self.ledger.finished(key) for key in keys])
        for key in keys:
            if lost or self._is_of_another(job, key):
                self.ledger.forget(key)
        found = [Pending(cell, key, wanted - self.ledger.finished(key)) for cell, key in zip(row, keys, strict=True)]
        self.progress.main.skip(sum(len(wanted) - len(pending.samples) for pending in found))
        return [pending for pending in found if pending.samples]

    def _is_of_another(self, job: Job, key: str) -> bool:
        """Return whether a cell was scored with another universal perturbation than the one that its job has now."""
        if not isinstance(job.attack, UniversalAttack):
            return False
        return self.ledger.is_of_another(key, self.grid.key(job))

    def _has_lost(self, job: Job, lacking: Sequence[set[int]]) -> bool:
        """Return whether a job's scores must be dropped because the universal perturbation behind them is lost.

        `lacking` are the samples that each cell still lacks: they would be scored with the result of a new search,
        which may be another perturbation. If the ledger lacks the costs of the search, all scores must be dropped.
        """
        if not isinstance(job.attack, UniversalAttack):
            return False
        costs = self.ledger.costs(self.grid.key(job))
        return costs is None or (any(lacking) and not self.has_perturbation(job))

    def has_perturbation(self, job: Job) -> bool:
        """Return whether the universal perturbation that the ledger knows is on disk; remove the file of any other."""
        kept = self._file(job).kept() if isinstance(job.attack, UniversalAttack) else None
        if kept is None:
            return False
        key = self.grid.key(job)
        known = self.ledger.costs(key) is not None and self.ledger.perturbation(key) == kept.sha
        if not known:
            self._file(job).remove()
        return known

    def seen(self, name: str, looks: Sequence[Seen]) -> None:
        """Record the looks at all clean images of a network. Raises ConfigError if its clean rate is unexpected."""
        model, _ = self.prepared.network(name)
        found = clean_doubts(model, looks, self._expected(name), self.prepared.facts.clusters)
        self.ledger.write_doubts(self._look(name), Doubts(frozenset(found)), self._judged(name))
        self.doubts[name] = found

    def refused(self, name: str, message: str) -> None:
        """Record that a network must not be used, even if its cells are finished; the next run looks at it again."""
        self.ledger.write_doubts(self._look(name), Doubts(refusal=message), self._judged(name))
        self.doubts[name] = Failed(message)

    def recall_looks(self) -> None:
        """Read the doubts of networks that an earlier run found usable: they need not be looked at again."""
        for name, found in self.prepared.models.items():
            if isinstance(found, BaseException):
                continue
            with suppress(DamagedRecordError):
                known = self.ledger.doubts(self._look(name), self._judged(name))
                if known is not None and known.refusal is None:
                    self.doubts[name] = set(known.flags)

    def taught(self, network: str, named: NamedDefense, learned: str) -> None:
        """Record what a defense has learned. Raises ConfigError if it differs from what the ledger knows."""
        system = named.before(self.prepared.facts.identities[network])
        known = self.ledger.learned(system)
        if known is None:
            self.ledger.write_learned(system, learned)
        elif known != learned:
            raise ConfigError(
                f"{named.name} has learned anew since this run began: expected {known}, got {learned}; choose another "
                "--out."
            )

    def found(self, job: Job, found: Found) -> None:
        """Record a universal perturbation: its costs before its file, so that a file's costs are always known."""
        key = self.grid.key(job)
        self.ledger.write_costs(key, found.costs, found.perturbation.sha, found.by)
        self._file(job).keep(found.perturbation)

    def scored(self, pending: Pending, scored: Scored) -> None:
        """Record the scores of one cell for a shard."""
        job = pending.cell.job
        universal = isinstance(job.attack, UniversalAttack)
        found = self.ledger.perturbation(self.grid.key(job)) if universal else None
        self.ledger.write(pending.key, scored.outcomes, scored.by, found)
        missing = pending.samples.intersection(scored.outcomes.samples.tolist())
        self.progress.main.advance(len(missing))
        pending.samples -= missing
        if not pending.samples:
            self.ledger.mend(pending.key)
            self.progress.finished(pending.cell.title)

    def failed(self, cells: Iterable[Pending], message: str, order: int) -> None:
        """Record that a step, of number `order`, failed for cells that are not finished.

        If several steps fail for a cell, the message of the first one stays.
        """
        for pending in cells:
            if not pending.matters(order):
                continue
            self.ledger.write_error(pending.key, message)
            if pending.failed is None:
                self.progress.main.advance(len(pending.samples))
                self.progress.finished(f"{pending.cell.title}: failed")
            pending.failed = order

    def _expected(self, name: str) -> float | None:
        model, _ = self.prepared.network(name)
        expected = self.prepared.recipe.expected_clean(name)
        return model.expect_clean if expected is None else expected

    def _look(self, name: str) -> str:
        return look(name, self.prepared.facts.identities, self.prepared.facts.samples)

    def _judged(self, name: str) -> str:
        """Return a digest of all that a network is judged by: its expected clean rate, and the code."""
        return digest(self._expected(name), source_hash(clean_doubts))

    def _file(self, job: Job) -> PerturbationFile:
        model, _ = self.prepared.network(job.source)
        place = self.folder / self.grid.place(job)
        return PerturbationFile(place=place, threat=job.attack.threat, shape=model.shape)
