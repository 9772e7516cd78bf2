"""Run a recipe: find what the ledger lacks, and finish it; whatever is there already is not done again."""

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

    What is `foreseen` of a run tells those who watch its `progress` how long it will take.

    Raises OutputError where the ledger's scores are of other data.
    """
    engine = Engine.begin(prepared, ledger, folder, executor=executor, progress=progress, foreseen=foreseen)
    engine.finish(prepared.grid.rows)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Finishes cells when they are asked for; `executor` carries out what that takes.

    Several processes may have one each for the same ledger and folder, as long as no cell is asked of two at a time:
    what cells share is made by the first that needs it, and the others wait.
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
        """Raises OutputError where the ledger's scores are of other data."""
        renew(prepared, ledger, folder)
        for dataset in {known.fingerprint: known for known in prepared.datasets.values()}.values():
            check_glimpse(dataset, ledger)
        books = Books(prepared=prepared, ledger=ledger, folder=folder, progress=progress)
        books.recall_looks()
        return cls(prepared=prepared, books=books, executor=executor, foreseen=foreseen)

    def finish(self, rows: Iterable[tuple[Job, Sequence[Cell]]]) -> None:
        """Craft jobs, each once for some of the cells that score it, as far as the ledger lacks them.

        Networks are looked at where that was not done with these very images, also where their cells are finished.
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
        """Without the cells of networks of which it is known that they cannot be used, which fail."""
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
