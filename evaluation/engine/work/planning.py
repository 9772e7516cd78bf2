"""Plan the units of work that finish the cells which still lack scores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ....core.universal_attack import UniversalAttack
from ...grid.cells import Cell, Job
from ...grid.defenses import NamedDefense
from ...grid.grid import Grid
from .schedule import Step
from .units import Look, Samples, Score, Search, Teach


@dataclass(eq=False)
class Pending:
    """A cell with the `samples` that it still lacks. `failed` is the number of the step that failed for it, if any."""

    cell: Cell
    key: str
    samples: set[int]
    failed: int | None = None

    def matters(self, order: int) -> bool:
        """Return whether a step of this number is still needed: if several fail, the first one's message counts."""
        return bool(self.samples) and (self.failed is None or order < self.failed)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps that finish some cells: `waits` maps each, in the preferred order, to the steps that come before it.

    `cells` maps each step to the cells that need it, by key. `batches` are the samples of each shard, `known` the
    networks that were looked at already, and `kept` the keys of jobs whose universal perturbation is on disk.
    """

    grid: Grid
    batches: Sequence[Samples]
    known: Collection[str]
    kept: Collection[str]
    waits: dict[Step, dict[Step, None]] = field(default_factory=dict)
    cells: dict[Step, dict[str, Pending]] = field(default_factory=dict)
    _looks: dict[str, dict[str, Pending]] = field(default_factory=dict)
    _scores: dict[tuple[str, Samples], Score] = field(default_factory=dict)

    def add(self, job: Job, row: Sequence[Pending]) -> None:
        """Add all steps that some cells of a job need."""
        networks = dict.fromkeys([job.source, *(pending.cell.model for pending in row)])
        looked: list[Step] = []
        for name in networks:
            looked += self.look(name, [one for one in row if name in (job.source, one.cell.model)])
        before = [*looked, *self._teach(job.source, job.through, looked, row)]
        before += self._search(job, before, row)
        taught = {one.key: self._teach(one.cell.model, one.cell.defense, looked, [one]) for one in row}
        for batch in self.batches:
            own = [one for one in row if not one.samples.isdisjoint(batch)]
            if own:
                self._score(job, batch, [*before, *(step for one in own for step in taught[one.key])], own)

    def look(self, name: str, row: Sequence[Pending] = ()) -> list[Step]:
        """Add the look at a network's clean images, unless it is known; return the step that comes after it, if any."""
        if name in self.known:
            return []
        cells = self._looks.setdefault(name, {})
        cells.update((one.key, one) for one in row)
        if name not in self.waits:
            title = f"{name}  clean images"
            seen: list[Step] = [Look(network=name, title=title, samples=batch) for batch in self.batches]
            self.waits.update({step: {} for step in seen} | {name: dict.fromkeys(seen)})
            self.cells.update(dict.fromkeys([*seen, name], cells))
        return [name]

    def _teach(self, network: str, named: NamedDefense, before: list[Step], row: Sequence[Pending]) -> list[Step]:
        if not named.learns:
            return []
        title = f"{network}  {named.name} learns"
        return [self._step(Teach(network=network, title=title, defense=named.digest), before, row)]

    def _search(self, job: Job, before: list[Step], row: Sequence[Pending]) -> list[Step]:
        key = self.grid.key(job)
        if not isinstance(job.attack, UniversalAttack) or key in self.kept:
            return []
        return [self._step(Search(network=job.source, title=_title(job), job=key), before, row)]

    def _score(self, job: Job, batch: Samples, before: list[Step], row: Sequence[Pending]) -> None:
        """Add the scoring of a shard, after that of the attack whose failures it continues from: that keeps images."""
        key = self.grid.key(job)
        earlier = None if job.after is None else self._scores.get((self.grid.key(job.after), batch))
        cells = tuple(one.key for one in row)
        unit = Score(network=job.source, title=_title(job), job=key, samples=batch, cells=cells)
        self._scores[key, batch] = unit
        self._step(unit, before if earlier is None else [*before, earlier], row)

    def _step(self, step: Step, waits: Sequence[Step], row: Sequence[Pending]) -> Step:
        """Add a step, or further cells to a step that was added before, and return it."""
        self.waits.setdefault(step, {}).update(dict.fromkeys(waits))
        self.cells.setdefault(step, {}).update((one.key, one) for one in row)
        return step


def _title(job: Job) -> str:
    return f"{job.source}  {job.attack_name}"
