"""Run a recipe: craft, score, record; whatever is in the ledger already is not done again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ...core.attack import CraftingData, UniversalAttack
from ...core.dataset import Dataset
from ...core.errors import FOREIGN, ConfigError, OutputError, one_line
from ...core.guard import Guard
from ...core.model import Model
from ...core.perturbation import Perturbation
from ...datasets.substitutes import substitute_images
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .adversarial import Crafter
from .ahead import ahead
from .clean import clean_doubts
from .crafted import Crafted
from .glimpse import check_glimpse
from .grid import Cell, Identity, Job, NamedDefense, cells
from .learning import School
from .prepare import Prepared
from .progress import Progress, Step
from .scoring import Shard
from .systems import Systems

SUBSTITUTES = 512
"""How many images, none of them of the task, a universal attack validates on."""
TRAINING_IMAGES = 512
"""How many training images a data prior draws from."""


def run(prepared: Prepared, ledger: Ledger, folder: Path, *, device: str, progress: Progress) -> None:
    """Finish every cell of the recipe that is not in the ledger yet. A cell that fails is recorded as failed.

    Raises OutputError where the ledger's scores are of other data.
    """
    for name, loaded in prepared.models.items():
        known = prepared.facts.identities[name]
        model = _moved(loaded, device)
        if isinstance(model, BaseException):
            for cell in (cell for _, row in cells(prepared.recipe, name) for cell in row):
                ledger.write_error(cell.key(known), one_line(model))
                progress.main.advance(prepared.recipe.samples)
            continue
        dataset, guard = prepared.datasets[name], Guard(model)
        check_glimpse(dataset, ledger)
        part = ModelRun(
            recipe=prepared.recipe,
            dataset=dataset,
            samples=prepared.facts.samples,
            clusters=prepared.facts.clusters,
            name=name,
            model=model,
            identity=known,
            ledger=ledger,
            folder=folder,
            systems=Systems(
                recipe=prepared.recipe,
                dataset=dataset,
                model=model,
                identity=known,
                ledger=ledger,
                school=School(dataset, model, prepared.recipe.seed, progress),
                guard=guard,
            ),
            guard=guard,
        )
        part.run(progress)
        model.to("cpu")  # the next one needs the room


def _moved(model: Model | BaseException, device: str) -> Model | BaseException:
    try:
        return model if isinstance(model, BaseException) else model.to(device)
    except RuntimeError as error:  # out of memory, say
        return error


@dataclass
class Pending:
    """A cell, and the samples that it still lacks."""

    cell: Cell
    key: str
    samples: set[int]


@dataclass(kw_only=True)
class ModelRun:
    """The part of a run that belongs to one model."""

    recipe: Recipe
    dataset: Dataset
    samples: tuple[int, ...]
    clusters: tuple[int, ...] | None
    name: str
    model: Model
    identity: Identity
    ledger: Ledger
    folder: Path
    systems: Systems
    guard: Guard

    def run(self, progress: Progress) -> None:
        wanted = set(self.samples)
        for job, row in cells(self.recipe, self.name):
            progress.main.describe(f"{job.model}  {job.attack_name}")
            keys = [cell.key(self.identity) for cell in row]
            self._mend(job, keys)
            todo = [Pending(cell, key, wanted - self.ledger.finished(key)) for cell, key in zip(row, keys, strict=True)]
            progress.main.skip(sum(len(wanted) - len(pending.samples) for pending in todo))
            waiting = [pending for pending in todo if pending.samples]
            if waiting:
                self._run_job(job, waiting, progress)

    def _mend(self, job: Job, keys: list[str]) -> None:
        """What is damaged in the ledger is made anew; so are the scores of a perturbation whose costs are lost."""
        lost = isinstance(job.attack, UniversalAttack) and self.ledger.costs(job.key(self.identity)) is None
        for key in keys:
            self.ledger.forget(key) if lost else self.ledger.mend(key)

    def _run_job(self, job: Job, waiting: list[Pending], progress: Progress) -> None:
        """Where the attack fails all its cells fail, where a defense fails its own does."""
        try:
            doubts = self._doubts
            if isinstance(doubts, Exception):
                raise doubts
            crafter = self._crafter(job)
            perturbation = self._perturbation(job, crafter, progress)
            for shard in self._shards(waiting):
                crafted = crafter.images(shard, perturbation)
                if self.guard.undo():
                    raise ConfigError(f"{job.attack!r} has changed {self.name}; an attack may change images only.")
                by_gradient = job.attack.access == "gradient"
                flags = doubts | (self.systems.gradient_flags(job.through) if by_gradient else set())
                for pending in list(waiting):
                    try:
                        self._score(pending, shard, crafted, flags, progress)
                    except OutputError:
                        raise
                    except FOREIGN as error:
                        self._fail(pending, error, progress)
                        waiting.remove(pending)
        except OutputError:
            raise  # no cell's fault: nothing can be recorded any more
        except FOREIGN as error:
            for pending in waiting:
                self._fail(pending, error, progress)

    def _score(self, pending: Pending, shard: Shard, crafted: Crafted, flags: set[str], progress: Progress) -> None:
        missing = pending.samples.intersection(shard.samples)
        if missing:
            purpose = f"adversarial {pending.cell.job.stream}"
            system = self.systems.scored(pending.cell.defense)
            scores = system.score(shard, crafted, purpose)
            self.systems.check(pending.cell.defense)
            self.ledger.write(pending.key, replace(scores, flags=scores.flags | flags))
            progress.main.advance(len(missing))
            pending.samples -= missing
            if not pending.samples:
                self.ledger.mend(pending.key)
                progress.finished(pending.cell.title)

    @cached_property
    def _doubts(self) -> set[str] | Exception:
        """What the bare network's answers to the clean images say against it; an error where they are not its own."""
        expected = self.recipe.expected_clean(self.name)
        shards = map(self._shard, ahead(self.dataset.load, self._batches()))
        try:
            bare = self.systems.scored(NamedDefense())
            wanted = self.model.expect_clean if expected is None else expected
            return clean_doubts(bare, shards, wanted, self.clusters)
        except Exception as error:  # noqa: BLE001 (it is what each of the cells fails with)
            return error

    def _fail(self, pending: Pending, error: BaseException, progress: Progress) -> None:
        if pending.samples:
            self.ledger.write_error(pending.key, one_line(error))
            progress.main.advance(len(pending.samples))
            progress.finished(f"{pending.cell.title}: failed")

    def _shards(self, waiting: list[Pending]) -> Iterator[Shard]:
        """The shards that some cell waits for."""

        def wanted(samples: tuple[int, ...]) -> bool:
            return any(pending.samples.intersection(samples) for pending in waiting)

        for found in ahead(self.dataset.load, filter(wanted, self._batches())):
            if wanted(found[0]):  # still
                yield self._shard(found)

    def _batches(self) -> Iterator[tuple[int, ...]]:
        for start in range(0, len(self.samples), self.recipe.batch_size):
            yield self.samples[start : start + self.recipe.batch_size]

    def _shard(self, found: tuple[tuple[int, ...], tuple[Tensor, Tensor | None]]) -> Shard:
        samples, (x, y) = found
        y = None if y is None else y.to(self.model.device)
        return Shard(samples=samples, x=x.to(self.model.device), y=y)

    def _crafter(self, job: Job) -> Crafter:
        return Crafter(
            model=self.systems.attacked(job.through),
            attack=job.attack,
            key=job.key(self.identity),
            stream=job.stream,
            place=self.folder / job.place(self.identity),
            seed=self.recipe.seed,
            storage=self.recipe.storage,
            keep_images=self.recipe.keep_images,
            before=None if job.after is None else self._crafter(job.after),
        )

    def _perturbation(self, job: Job, crafter: Crafter, progress: Progress) -> Perturbation | None:
        """Of a universal attack: the kept one where its costs are known too, else a new one."""
        if not isinstance(job.attack, UniversalAttack):
            return None
        kept = crafter.kept()
        if kept is not None and self.ledger.costs(crafter.key) is not None:
            return kept
        with progress.step(f"  {job.attack_name}, prior {job.attack.prior}", 1, "iterations") as step:
            perturbation, costs = crafter.craft(self._crafting_data(progress, step))
        self.ledger.write_costs(crafter.key, costs)  # before the file: where that is there, its costs are known
        crafter.keep(perturbation)
        return perturbation

    def _crafting_data(self, progress: Progress, step: Step) -> CraftingData:
        def show(done: int, limit: int, best: float) -> None:
            step.at(done, limit, f"iterations, {100 * best:.0f}% fooled")

        def training() -> torch.Tensor:
            with progress.step("  training images", TRAINING_IMAGES, "images") as images_step:
                images, _ = self.dataset.training(TRAINING_IMAGES, images_step.advance)
            return (images.float() / 255).to(self.model.device)

        substitutes = substitute_images(SUBSTITUTES, self.dataset.shape, seed=self.recipe.seed)
        return CraftingData(validation=substitutes.to(self.model.device), load_training=training, progress=show)
