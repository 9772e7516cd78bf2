"""Where defenses learn: once, on the task's training images, and kept for all later runs on this machine."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from platformdirs import user_cache_path

from ...core.behaviour import Behaviour
from ...core.dataset import Dataset
from ...core.defense import Defense, LearningData
from ...core.errors import WeightsError
from ...core.files import writable_folder, writing
from ...core.learned import Learned
from ...core.learned_defense import LearnedDefense
from ...core.model import Model
from .exclusive import exclusive
from .glimpse import glimpse
from .grid import digest
from .progress import Steps
from .sources import source_hash

FOLDER = "learned"


@dataclass(frozen=True)
class School:
    """Teaches the defenses of one model. What they learn is named by all that decides it; it lies in the user's cache
    where no `folder` is given.
    """

    dataset: Dataset
    model: Model
    seed: int
    progress: Steps
    folder: Path | None = None

    @cached_property
    def _behaviour(self) -> Behaviour:
        return Behaviour.of(self.model, self.dataset.shape)

    def learned(self, part: LearnedDefense) -> Learned:
        """From the cache, or learned now where nothing is there that can be read."""
        path = self.path(part)
        with suppress(WeightsError):
            return Learned.load(path)
        with exclusive(path.parents[1], path.stem):
            with suppress(WeightsError):  # another process may have learned it meanwhile
                return Learned.load(path)
            return self.teach(part)

    def teach(self, part: LearnedDefense) -> Learned:
        """Learn anew, and keep it. Raises OutputError where the cache cannot be written."""
        path = self.path(part)
        writable_folder(path.parent)  # asked now, not after minutes of learning
        with self.progress.step("  training images", part.training_images, "images") as step:
            images, labels = self.dataset.training(part.training_images, step.advance)
        with self.progress.step(f"  {type(part).__name__} learns", 1, "steps") as step:
            data = LearningData(
                images=(images.float() / 255).to(self.model.device),
                labels=None if labels is None else labels.to(self.model.device),
                model=self.model,
                progress=lambda done, total: step.at(done, total, "steps"),
            )
            found = part.taught(data, self.seed)
        with writing(path):
            found.save(path)
        return found

    @cached_property
    def _data(self) -> tuple[object, ...]:
        return self.dataset.fingerprint, glimpse(self.dataset), source_hash(type(self.dataset))

    def path(self, part: LearnedDefense) -> Path:
        model = (self.model.sha, self._behaviour.id) if part.needs_model else None
        key = digest(repr(part), source_hash(type(part)), self._data, self.seed, model)
        folder = users_folder() if self.folder is None else self.folder
        return folder / f"{type(part).__name__}-{key}.safetensors"


def users_folder() -> Path:
    """Where all runs of a user on this machine keep what was learned."""
    return user_cache_path("foolbench") / FOLDER


def learning_parts(defense: Defense) -> list[LearnedDefense]:
    """What of it has to learn."""
    found: list[LearnedDefense] = []

    def noted(part: LearnedDefense) -> Learned:
        found.append(part)
        return Learned({})

    defense.with_learned(noted)
    return found
