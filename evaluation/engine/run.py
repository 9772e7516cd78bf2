"""Run a recipe: compute all that the ledger lacks, and nothing that it has already."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import one_line
from ...core.model import Model
from ..grid.cells import Cell, Job
from ..ledger.ledger import Ledger
from .books import Books
from .driver import Driver
from .executors.executor import Executor
from .forecast.foreseen import Foreseen
from .networks.networks import batches
from .networks.prepare import Prepared
from .provenance.glimpse import check_glimpse
from .renewal import renew
from .work.planning import Pending, Plan
from .work.progress import Progress
from .work.units import Failed


def run(
    prepared: Prepared,
    ledger: Ledger,
    folder: Path,
    *,
    executor: Executor,
    progress: Progress,
    foreseen: Foreseen | None = None,
) -> None:
    """Finish every cell of the recipe that is not in the ledger yet. A cell that fails is recorded as failed.

    `foreseen` predicts how long the run will take, for its `progress` display. Raises OutputError if the ledger's
    scores are of other data.
    """
    engine = Engine.begin(prepared, ledger, folder, executor=executor, progress=progress, foreseen=foreseen)
    engine.finish(prepared.grid.rows)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Finishes cells on request; `executor` carries out the work.

    Several processes may each have an engine for the same ledger and folder, as long as no cell is requested from two
    at a time: what cells share is computed by the first process that needs it, while the others wait.
    """

    prepared: Prepared
    books: Books
    executor: Executor
    foreseen: Foreseen | None = None

    @classmethod
    def begin(
        cls,
        prepared: Prepared,
        ledger: Ledger,
        folder: Path,
        *,
        executor: Executor,
        progress: Progress,
        foreseen: Foreseen | None = None,
    ) -> "Engine":
        """Return an engine for a ledger, from which damaged results are dropped first.

        Raises OutputError if the ledger's scores are of other data.
        """
        renew(prepared, ledger, folder)
        for dataset in {known.fingerprint: known for known in prepared.datasets.values()}.values():
            check_glimpse(dataset, ledger)
        books = Books(prepared=prepared, ledger=ledger, folder=folder, progress=progress)
        books.recall_looks()
        return cls(prepared=prepared, books=books, executor=executor, foreseen=foreseen)

    def finish(self, rows: Iterable[tuple[Job, Sequence[Cell]]]) -> None:
        """Finish the given cells of each job, as far as the ledger lacks them; a job is crafted once for all of them.

        Networks that were not looked at with these very images are looked at, even if their cells are finished. Raises
        OutputError if results cannot be recorded.
        """
        rows = list(rows)
        waiting = [(job, pending) for job, row in rows if (pending := self.books.pending(job, row))]
        usable = [(job, left) for job, pending in waiting if (left := self._usable(job, pending))]
        plan = self._plan({self.prepared.grid.key(job) for job, _ in usable if self.books.has_perturbation(job)})
        for job, pending in usable:
            plan.add(job, pending)
        for name in dict.fromkeys(name for job, row in rows for name in (job.source, *(cell.model for cell in row))):
            if isinstance(self.prepared.models[name], Model):
                plan.look(name)
        self._drive(plan)

    def _usable(self, job: Job, row: Sequence[Pending]) -> list[Pending]:
        """Return the cells whose networks may be used; the cells of networks known to be unusable fail."""
        for name in dict.fromkeys([job.source, *(pending.cell.model for pending in row)]):
            found, doubts = self.prepared.models[name], self.books.doubts.get(name)
            cells = [pending for pending in row if name in (job.source, pending.cell.model)]
            if isinstance(found, BaseException):
                self.books.failed(cells, one_line(found), 0)
            elif isinstance(doubts, Failed):
                self.books.failed(cells, doubts.message, 0)
        return [pending for pending in row if pending.failed is None]

    def _drive(self, plan: Plan) -> None:
        foreseen = {} if self.foreseen is None else self.foreseen.seconds(plan)
        Driver(plan, self.books, self.executor, foreseen).finish()

    def _plan(self, kept: set[str]) -> Plan:
        shards = list(batches(self.prepared.facts.samples, self.prepared.recipe.shard))
        return Plan(grid=self.prepared.grid, batches=shards, known=self.books.doubts, kept=kept)
