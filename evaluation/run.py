"""Run a recipe: craft, score, record; whatever is in the ledger already is not done again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..core.attack import CraftingData, UniversalAttack
from ..core.dataset import Dataset
from ..core.model import Model
from ..core.perturbation import Perturbation
from ..core.registry import datasets, models
from ..datasets.substitutes import substitute_images
from .adversarial import Crafter
from .grid import Cell, Job, cells, context
from .ledger import Ledger
from .progress import Progress
from .recipe import Recipe
from .scoring import Shard, System
from .table import Facts

SUBSTITUTES = 512
"""How many images, none of them of the task, a universal attack validates on."""
TRAINING_IMAGES = 512
"""How many training images a data prior draws from."""


def run(recipe: Recipe, ledger: Ledger, folder: Path, *, device: str, progress: Progress, name: str) -> Facts:
    """Finish every cell of the recipe that is not in the ledger yet. A cell that fails is recorded as failed."""
    dataset = datasets[recipe.dataset]()
    shas = {}
    for model_name in recipe.models:
        try:
            model = models[model_name]().to(device)
        except Exception as error:  # noqa: BLE001 (a model that cannot be loaded costs its own cells only)
            shas[model_name] = ""
            _fail(ledger, recipe, model_name, context(recipe, dataset.fingerprint, ""), error)
            progress.main.advance(recipe.samples * sum(len(row) for _, row in cells(recipe, model_name)))
            continue
        shas[model_name] = model.sha
        identity = context(recipe, dataset.fingerprint, model.sha)
        part = ModelRun(
            recipe=recipe,
            dataset=dataset,
            name=model_name,
            model=model,
            identity=identity,
            ledger=ledger,
            folder=folder,
        )
        part.run(progress)
    return Facts(run=name, fingerprint=dataset.fingerprint, task=dataset.task, model_shas=shas)


def _fail(ledger: Ledger, recipe: Recipe, model: str, identity: dict[str, Any], error: Exception) -> None:
    for _, row in cells(recipe, model):
        for cell in row:
            ledger.write_error(cell.key(identity), _message(error))


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@dataclass(kw_only=True)
class ModelRun:
    """The part of a run that belongs to one model."""

    recipe: Recipe
    dataset: Dataset
    name: str
    model: Model
    identity: dict[str, Any]
    ledger: Ledger
    folder: Path
    _systems: dict[str, System] = field(default_factory=dict)

    def run(self, progress: Progress) -> None:
        for job, row in cells(self.recipe, self.name):
            progress.main.describe(f"{job.model}  {job.attack_name}")
            done = {cell: self.ledger.finished(cell.key(self.identity)) for cell in row}
            wanted = set(range(self.recipe.samples))
            missing = {cell: wanted - samples for cell, samples in done.items()}
            progress.main.advance(sum(len(wanted) - len(samples) for samples in missing.values()))
            if any(missing.values()):
                self._run_job(job, missing, progress)

    def _run_job(self, job: Job, missing: dict[Cell, set[int]], progress: Progress) -> None:
        try:
            crafter = self._crafter(job)
            perturbation = self._perturbation(job, crafter, progress)
        except Exception as error:  # noqa: BLE001 (an attack that fails costs its own cells only)
            self._drop(missing, list(missing), error, progress)
            return
        for shard in self._shards():
            waiting = [cell for cell, samples in missing.items() if samples.intersection(shard.samples)]
            if not waiting:
                continue
            try:
                x_adv, costs = crafter.images(shard, perturbation)
            except Exception as error:  # noqa: BLE001 (as above)
                self._drop(missing, list(missing), error, progress)
                return
            for cell in waiting:
                try:
                    purpose = f"adversarial {job.key(self.identity)}"
                    scores = self._system(cell).score(shard, x_adv, purpose, costs)
                except Exception as error:  # noqa: BLE001 (a defense that fails costs its own cell only)
                    self._drop(missing, [cell], error, progress)
                    continue
                self.ledger.write(cell.key(self.identity), scores)
                progress.main.advance(len(missing[cell].intersection(shard.samples)))
                missing[cell] -= set(shard.samples)

    def _drop(self, missing: dict[Cell, set[int]], failed: list[Cell], error: Exception, progress: Progress) -> None:
        for cell in failed:
            left = missing.pop(cell)
            if left:
                self.ledger.write_error(cell.key(self.identity), _message(error))
                progress.main.advance(len(left))

    def _shards(self) -> Iterator[Shard]:
        for start in range(0, self.recipe.samples, self.recipe.batch_size):
            stop = min(start + self.recipe.batch_size, self.recipe.samples)
            x, y = self.dataset.load(start, stop)
            yield Shard(samples=range(start, stop), x=x.to(self.model.device), y=y.to(self.model.device))

    def _system(self, cell: Cell) -> System:
        """Kept for the next attack: it remembers its predictions for the clean images."""
        key = repr(cell.defense)
        if key not in self._systems:
            defended = self.model if cell.defense is None else cell.defense.defend(self.model)
            self._systems[key] = System(defended, self.recipe.seed, self.recipe.draws)
        return self._systems[key]

    def _crafter(self, job: Job) -> Crafter:
        return Crafter(
            model=self.model,
            attack=job.attack,
            key=job.key(self.identity),
            label=f"{job.model.replace(':', '-')}-{job.attack_name}",
            seed=self.recipe.seed,
            storage=self.recipe.storage,
            folder=self.folder,
        )

    def _perturbation(self, job: Job, crafter: Crafter, progress: Progress) -> Perturbation | None:
        if not isinstance(job.attack, UniversalAttack):
            return None
        with progress.step(f"  crafting {job.attack_name}, prior: {job.attack.prior}", 1, "iterations") as step:

            def show(done: int, limit: int, best: float) -> None:
                step.at(done, limit, f"iterations, fools {100 * best:.0f}% of the substitutes")

            def training() -> torch.Tensor:
                with progress.step("  training images", TRAINING_IMAGES, "images") as images_step:
                    images, _ = self.dataset.training(TRAINING_IMAGES, images_step.advance)
                return (images.float() / 255).to(self.model.device)

            def data() -> CraftingData:
                substitutes = substitute_images(SUBSTITUTES, self.dataset.shape, seed=self.recipe.seed)
                on_device = substitutes.to(self.model.device)
                return CraftingData(validation=on_device, load_training=training, progress=show)

            perturbation, costs = crafter.perturbation(data)
        if costs is not None:
            self.ledger.write_costs(crafter.key, costs)
        return perturbation
