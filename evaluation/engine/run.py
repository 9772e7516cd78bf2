"""Run a recipe: craft, score, record; whatever is in the ledger already is not done again."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ...core.attack import CraftingData, UniversalAttack
from ...core.errors import FOREIGN, ConfigError, OutputError, one_line
from ...core.perturbation import Perturbation
from ...datasets.substitutes import substitute_images
from ..leaderboard.grouping import grouped
from ..leaderboard.table import Facts
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .adversarial import Crafter
from .crafted import Crafted
from .example import keep_example
from .exclusive import exclusive
from .glimpse import check_glimpse
from .grid import Cell, Job, NamedDefense, jobs
from .networks import Network, Networks
from .prepare import Prepared
from .progress import Progress, Step
from .renewal import renew
from .resizing import carried_over
from .scoring import Shard

SUBSTITUTES = 512
"""How many images, none of them of the task, a universal attack validates on."""
TRAINING_IMAGES = 512
"""How many training images a data prior draws from."""


def run(prepared: Prepared, ledger: Ledger, folder: Path, *, device: str, progress: Progress) -> None:
    """Finish every cell of the recipe that is not in the ledger yet. A cell that fails is recorded as failed.

    Raises OutputError where the ledger's scores are of other data, ConfigError where nothing is left to run, but a
    clean rate is not the expected one.
    """
    engine = Engine.begin(prepared, ledger, folder, device=device, progress=progress)
    for source in prepared.models:
        attacked = [engine.finish(job, row) for job, row in jobs(prepared.recipe, source)]
        if not any(attacked) and prepared.recipe.expected_clean(source) is not None:
            engine.networks.use(source)
    engine.close()


@dataclass
class Pending:
    """A cell, and the samples that it still lacks."""

    cell: Cell
    key: str
    samples: set[int]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Finishes cells when they are asked for, with the networks of a run at hand; to be closed.

    Several processes may have one each for the same ledger and folder, as long as no cell is asked of two at a time:
    what cells share is made by the first that needs it, and the others wait.
    """

    recipe: Recipe
    facts: Facts
    networks: Networks
    ledger: Ledger
    folder: Path
    progress: Progress

    @classmethod
    def begin(cls, prepared: Prepared, ledger: Ledger, folder: Path, *, device: str, progress: Progress) -> "Engine":
        """Raises OutputError where the ledger's scores are of other data."""
        renew(prepared, ledger, folder)
        for dataset in {known.fingerprint: known for known in prepared.datasets.values()}.values():
            check_glimpse(dataset, ledger)
        return cls(
            recipe=prepared.recipe,
            facts=prepared.facts,
            networks=Networks(prepared, ledger, device, progress),
            ledger=ledger,
            folder=folder,
            progress=progress,
        )

    def close(self) -> None:
        """Leave the device to others."""
        self.networks.make_room(set())

    def finish(self, job: Job, row: Sequence[Cell]) -> bool:
        """Craft a job once for some of the cells that score it, as far as the ledger lacks them; whether it did."""
        wanted = set(self.facts.samples)
        self.progress.main.describe(f"{job.source}  {job.attack_name}")
        keys = [cell.key(self.facts.identities) for cell in row]
        self._mend(job, keys)
        todo = [Pending(cell, key, wanted - self.ledger.finished(key)) for cell, key in zip(row, keys, strict=True)]
        self.progress.main.skip(sum(len(wanted) - len(pending.samples) for pending in todo))
        waiting = [pending for pending in todo if pending.samples]
        if waiting:
            with self._failing(waiting):
                self._run_job(job, waiting)
        return bool(waiting)

    def _mend(self, job: Job, keys: list[str]) -> None:
        """What is damaged in the ledger is made anew; so are the scores of a perturbation whose costs are lost."""
        lost = isinstance(job.attack, UniversalAttack) and self.ledger.costs(job.key(self.facts.identities)) is None
        for key in keys:
            self.ledger.forget(key) if lost else self.ledger.mend(key)

    def _run_job(self, job: Job, waiting: list[Pending]) -> None:
        source = self.networks.use(job.source)
        for model, own in _by_model(waiting).items():
            with self._failing(own):  # before anything is crafted for it
                self.networks.use(model, beside=job.source)
        if not _by_model(waiting):
            return
        crafter = self._crafter(source, job)
        perturbation = self._perturbation(source, job, crafter)
        wanted = filter(lambda samples: _lacking(waiting, samples), self.networks.batches())
        for shard in source.shards(wanted):
            left = _lacking(waiting, shard.samples)
            if left:  # still
                crafted = crafter.images(shard, perturbation)
                if source.systems.undo():
                    raise ConfigError(f"{job.attack!r} has changed {job.source}; an attack may change images only.")
                change = crafted.x_adv - shard.x if perturbation is None else perturbation.delta[None]
                flags = self._flags(source, job)
                for model, own in _by_model(left).items():
                    with self._failing(own):
                        there, images = self._carried(model, shard, crafted, change.to(shard.x.device), job)
                        self._score(model, job, own, there, images, flags)

    def _flags(self, source: Network, job: Job) -> set[str]:
        """What makes all doubtful that is crafted on the source."""
        assert isinstance(source.doubts, set)
        by_gradient = job.attack.access == "gradient"
        return source.doubts | (source.systems.gradient_flags(job.through) if by_gradient else set())

    def _carried(self, model: str, shard: Shard, crafted: Crafted, change: Tensor, job: Job) -> tuple[Shard, Crafted]:
        """The images as the model takes them, and what was crafted, at its input."""
        network, facts = self.networks.use(model, beside=job.source), self.facts.identities
        if facts[model]["data"] == facts[job.source]["data"]:
            return shard, crafted
        (there,) = network.shards([shard.samples])
        return there, carried_over(crafted, change, there.x, job.attack.threat)

    def _score(
        self, model: str, job: Job, waiting: list[Pending], shard: Shard, crafted: Crafted, flags: set[str]
    ) -> None:
        network = self.networks.use(model, beside=job.source)
        assert isinstance(network.doubts, set)
        for pending in waiting:
            with self._failing([pending]):
                missing = pending.samples.intersection(shard.samples)
                system = network.systems.scored(pending.cell.defense)
                scores = system.score(shard, crafted, f"adversarial {job.stream}", job.attack.norm)
                if self.facts.samples[0] in missing:
                    bare = network.systems.scored(NamedDefense())
                    keep_example(self.folder, pending.key, bare, system, shard, crafted)
                network.systems.check(pending.cell.defense)
                self.ledger.write(pending.key, replace(scores, flags=scores.flags | flags | network.doubts))
                self.progress.main.advance(len(missing))
                pending.samples -= missing
                if not pending.samples:
                    self.ledger.mend(pending.key)
                    self.progress.finished(pending.cell.title)

    @contextmanager
    def _failing(self, waiting: list[Pending]) -> Iterator[None]:
        """What is raised within is what these cells fail with; unless nothing can be recorded any more."""
        try:
            yield
        except OutputError:
            raise
        except FOREIGN as error:
            for pending in waiting:
                if pending.samples:
                    self.ledger.write_error(pending.key, one_line(error))
                    self.progress.main.advance(len(pending.samples))
                    self.progress.finished(f"{pending.cell.title}: failed")
                    pending.samples.clear()

    def _crafter(self, source: Network, job: Job) -> Crafter:
        return Crafter(
            model=source.systems.attacked(job.through),
            attack=job.attack,
            key=job.key(self.facts.identities),
            stream=job.stream,
            place=self.folder / job.place(self.facts.identities),
            seed=self.recipe.seed,
            storage=self.recipe.storage,
            keep_images=self.recipe.keep_images,
            before=None if job.after is None else self._crafter(source, job.after),
        )

    def _perturbation(self, source: Network, job: Job, crafter: Crafter) -> Perturbation | None:
        """Of a universal attack: the kept one where its costs are known too, else a new one."""
        if not isinstance(job.attack, UniversalAttack):
            return None
        with exclusive(self.folder, crafter.key):
            kept = crafter.kept()
            if kept is not None and self.ledger.costs(crafter.key) is not None:
                return kept
            with self.progress.step(f"  {job.attack_name}, prior {job.attack.prior}", 1, "iterations") as step:
                perturbation, costs = crafter.craft(self._crafting_data(source, step))
            self.ledger.write_costs(crafter.key, costs)  # before the file: where that is there, its costs are known
            crafter.keep(perturbation)
        return perturbation

    def _crafting_data(self, source: Network, step: Step) -> CraftingData:
        def show(done: int, limit: int, best: float) -> None:
            step.at(done, limit, f"iterations, {100 * best:.0f}% fooled")

        def training() -> torch.Tensor:
            with self.progress.step("  training images", TRAINING_IMAGES, "images") as images_step:
                images, _ = source.dataset.training(TRAINING_IMAGES, images_step.advance)
            return (images.float() / 255).to(source.model.device)

        substitutes = substitute_images(SUBSTITUTES, source.dataset.shape, seed=self.recipe.seed)
        return CraftingData(validation=substitutes.to(source.model.device), load_training=training, progress=show)


def _lacking(waiting: Iterable[Pending], samples: Sequence[int]) -> list[Pending]:
    return [pending for pending in waiting if pending.samples.intersection(samples)]


def _by_model(waiting: Iterable[Pending]) -> dict[str, list[Pending]]:
    """Those that still lack something."""
    return grouped([pending for pending in waiting if pending.samples], lambda pending: pending.cell.model)
