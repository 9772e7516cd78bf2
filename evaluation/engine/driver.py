"""Hand the units of a plan to an executor, and their results to the books: the only writer of a run's ledger."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ...core.errors import FoolbenchError, OutputError, foreign_errors, one_line
from ..grid.defenses import NamedDefense
from .books import Books
from .executors.executor import Executor
from .forecast.remaining import Kind, Remaining
from .work.planning import Pending, Plan
from .work.schedule import Schedule, Step
from .work.units import Ended, Failed, Found, Look, Lost, Result, Score, Scored, Seen, Taught, Teach, Unit

DEATHS = 2
"""A unit fails once so many processes have died over it while their machines lived on: it may be what kills them."""
LOSSES = 10
"""A unit fails once so many processes were lost over it in any way: it may be what makes machines fail."""


class Driver:
    """Finishes the cells of a plan. A cell that fails is recorded as failed, without harm to the others.

    `foreseen` are the expected seconds per image for each kind of work, from which the remaining time is shown.
    """

    def __init__(self, plan: Plan, books: Books, executor: Executor, foreseen: Mapping[Kind, float]) -> None:
        self._plan, self._books, self._executor = plan, books, executor
        self._schedule = Schedule(plan.waits, executor.places)
        self._remaining = Remaining(plan.waits, foreseen, executor.places)
        self._begun: dict[int, float] = {}
        self._running: dict[int, Unit] = {}
        self._handed: dict[int, Unit] = {}
        """The part of each running unit that was still needed when it was handed out, by place."""
        self._seen: dict[str, dict[int, Seen]] = defaultdict(dict)
        self._deaths: Counter[Unit] = Counter()
        self._losses: Counter[Unit] = Counter()

    def finish(self) -> None:
        """Finish all cells. Raises OutputError if results can no longer be recorded."""
        self._books.progress.main.expect(self._remaining.seconds())
        while self._schedule:
            for place in self._executor.idle():
                self._begin(place)
            if self._running and (come := self._executor.wait()) is not None:
                place, event = come
                self._handle(place, self._running[place], event)

    def _begin(self, place: int) -> None:
        """Start the next unit that is still needed at a place, if one can start."""
        while (step := self._schedule.take(place)) is not None:
            if isinstance(step, str):
                self._conclude(step)
            elif (unit := self._left(step)) is not None:
                self._running[place], self._handed[place], self._begun[place] = step, unit, time.perf_counter()
                self._books.progress.main.describe(unit.title)
                self._executor.begin(place, unit, self._schedule.peek(place))
                return
            if not isinstance(step, str):
                self._remaining.done(step, None)
            self._schedule.done(step)

    def _left(self, unit: Unit) -> Unit | None:
        """Return the part of a unit that is still needed; None if all cells that need it are finished or failed."""
        cells, order = self._plan.cells[unit], self._schedule.order(unit)
        left = [pending for pending in cells.values() if pending.matters(order)]
        if not isinstance(unit, Score):
            return unit if left or not cells else None
        lacking = tuple(pending.key for pending in left if not pending.samples.isdisjoint(unit.samples))
        return replace(unit, cells=lacking) if lacking else None

    def _handle(self, place: int, unit: Unit, event: Result | Ended | Lost) -> None:
        match event:
            case Ended():
                del self._running[place]
                self._schedule.done(unit)
                self._remaining.done(unit, time.perf_counter() - self._begun[place])
                self._books.progress.main.expect(self._remaining.seconds())
            case Lost():
                del self._running[place]
                self._lost(place, unit, event)
            case Failed(message, cell):
                self._fail(unit, message, cell)
            case _:
                try:
                    self._note(unit, event)
                except OutputError:
                    raise
                except FoolbenchError as error:
                    self._fail(unit, one_line(error))

    def _note(self, unit: Unit, result: Seen | Taught | Found | Scored) -> None:
        """Record a result. Raises the error that the cells which need the unit fail with, if there is one."""
        cells, order = self._plan.cells[unit], self._schedule.order(unit)
        match result:
            case Seen():
                self._seen[unit.network][order] = result
            case Taught(learned):
                assert isinstance(unit, Teach)
                self._books.taught(unit.network, _named(unit, next(iter(cells.values()))), learned)
            case Found():
                self._books.found(next(iter(cells.values())).cell.job, result)
            case Scored(key):
                if cells[key].matters(order) and cells[key].failed is None:
                    self._books.scored(cells[key], result)

    def _conclude(self, network: str) -> None:
        """Judge a network once all of its clean images are seen; if a look failed, its cells have failed already."""
        looks = self._seen.pop(network, {})
        if len(looks) < len(self._plan.batches):
            return
        try:
            self._books.seen(network, [looks[order] for order in sorted(looks)])
        except foreign_errors() as error:  # a user's metric may raise anything
            self._fail(network, one_line(error))
            self._books.refused(network, one_line(error))

    def _lost(self, place: int, unit: Unit, lost: Lost) -> None:
        self._losses[unit] += 1
        self._deaths[unit] += lost.suspect
        if self._deaths[unit] < DEATHS and self._losses[unit] < LOSSES:
            self._schedule.again(unit, place)
            return
        losses, handed = self._losses[unit], self._handed[place]
        message = f"WorkerLost: {losses} processes were lost over this, the last one {lost.reason}"
        if self._deaths[unit] == DEATHS and isinstance(handed, Score) and len(handed.cells) > 1:
            # a worker scores cells in turn: the first one without a result is blamed, the others are tried again
            self._fail(unit, message, self._at_work(unit, handed))
            self._deaths[unit] = DEATHS - 1
            self._schedule.again(unit, place)
            return
        self._fail(unit, message)
        self._remaining.done(unit, None)
        self._schedule.done(unit)

    def _at_work(self, unit: Unit, handed: Score) -> str:
        """Return the key of the cell that a worker was scoring when it was lost, or was about to score."""
        cells = self._plan.cells[unit]
        return next(
            (key for key in handed.cells if not cells[key].samples.isdisjoint(handed.samples)), handed.cells[-1]
        )

    def _fail(self, step: Step, message: str, cell: str | None = None) -> None:
        """Record a failure of one `cell`, by its key, or of all cells that need the step."""
        cells = self._plan.cells[step]
        if isinstance(step, Look):
            self._books.refused(step.network, message)
        self._books.failed(cells.values() if cell is None else [cells[cell]], message, self._schedule.order(step))


def _named(unit: Teach, pending: Pending) -> NamedDefense:
    """Return the defense that a unit teaches for a cell: the one it is attacked through, or the one it is scored on."""
    cell = pending.cell
    through = cell.job.source == unit.network and cell.job.through.digest == unit.defense
    return cell.job.through if through else cell.defense
