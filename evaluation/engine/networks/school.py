"""Teach the defenses that learn, once, on the task's training images, and keep the result for later runs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from safetensors import SafetensorError

from ....core.behaviour import Behaviour
from ....core.dataset import Dataset
from ....core.defense import Defense, LearningData
from ....core.errors import ConfigError
from ....core.guard import Guard
from ....core.learned import Learned
from ....core.learned_defense import LearnedDefense
from ....core.model import Model
from ....core.place import ALONE, Place
from ....core.training_images import training_fingerprint_of
from ...grid.defenses import made_of
from ...grid.digest import digest
from ...grid.named_files import named_files
from ...grid.parameters import parameters
from ...grid.sources import source_hash
from ..cache.shelf import Shelf
from ..memory.one_at_a_time import itself
from ..provenance.glimpse import glimpse
from ..provenance.versions import libraries
from ..work.progress import Steps
from .behaving import behaviour
from .undoing import undoing

LEARNED = "learned"
"""The folder of learned tensors, below the folder of a shelf."""
_BEHAVIOUR = " behaviour"
"""The key of the model's behaviour among the learned tensors, none of which has such a name."""


class _UnlearnedError(Exception):
    """Nothing has taught a part yet."""


@dataclass(frozen=True)
class School:
    """Teaches the defenses of one model. What they learn is kept on `shelf`, named by a hash of all that decides it.

    If `shelf` is a cache, the run keeps a copy in its `own` folder: the cache may be cleared, and what is learned again
    with other threads or on another device differs in the last bits, so the run could not be resumed with it.
    """

    dataset: Dataset
    model: Model
    seed: int
    progress: Steps
    shelf: Shelf
    own: Shelf | None = None

    @property
    def _shelves(self) -> list[Shelf]:
        return [self.shelf] if self.own is None else [self.own, self.shelf]

    @cached_property
    def _behaviour(self) -> Behaviour:
        return behaviour(self.model, self.dataset)

    def learned(self, part: LearnedDefense, place: Place = ALONE) -> Learned:
        """Return what a part has learned at its place, from a shelf, or by `teach` if no shelf has a valid entry."""
        found = self._kept(part, place)
        if found is not None:
            return found
        with self.shelf.exclusive(self.name(part, place)):
            found = self._kept(part, place)  # another process may have learned it meanwhile
            return self.teach(part, place) if found is None else found

    def teach(self, part: LearnedDefense, place: Place = ALONE) -> Learned:
        """Teach a part at its place, and keep and return what it learns.

        Raises OutputError if the run's own folder cannot be written, ConfigError for a part that changes the model.
        """
        self.shelf.ready()  # fail now, not after minutes of learning
        return self.kept(part, place, self.taught(part, place, self.data(part)))

    def data(self, part: LearnedDefense) -> LearningData:
        """Load the training images (N, C, H, W) in [0, 1], and their labels, if any, to the model's device."""
        with self.progress.step("  training images", part.training_images, "images") as step:
            images, labels = self.dataset.training(part.training_images, step.advance)
        return LearningData(
            images=(images.float() / 255).to(self.model.device),
            labels=None if labels is None else labels.to(self.model.device),
            model=self.model,
        )

    def taught(self, part: LearnedDefense, place: Place, data: LearningData) -> Learned:
        """Return what a part learns at its place from `data`. Raises ConfigError for a part that changes the model."""
        with (
            self.progress.step(f"  {type(part).__name__} learns", 1, "lessons") as step,
            undoing(Guard(self.model).undo, lambda: self._refused(part)),
        ):
            told = replace(data, progress=lambda done, total: step.at(done, total, "steps"))
            return part.taught(place.seen(told, self.seed), self.seed)

    def kept(self, part: LearnedDefense, place: Place, found: Learned) -> Learned:
        """Keep what was learned, and return it. Raises OutputError if the run's own folder cannot be written."""
        return self._keep(part, place, found, self._shelves)

    def _keep(self, part: LearnedDefense, place: Place, found: Learned, shelves: Iterable[Shelf]) -> Learned:
        for shelf in shelves:
            shelf.keep(self.name(part, place), dict(found) | self._about(part))
        return found

    def _refused(self, part: LearnedDefense) -> ConfigError:
        return ConfigError(f"{type(part).__name__} has changed {self.model.name}, which whoever learns may only ask.")

    def names(self, defense: Defense) -> tuple[list[str], bool]:
        """Return the names of the entries of a defense's parts, and whether these are all.

        The name of a part in a chain depends on what others have learned; those are left out that cannot be told yet.
        """
        names: list[str] = []

        def noted(part: LearnedDefense, place: Place = ALONE) -> Learned:
            names.append(self.name(part, place))
            found = self._kept(part, place)
            if found is None:
                raise _UnlearnedError
            return found

        try:
            defense.with_learned(noted)
        except _UnlearnedError:
            return names, False
        return names, True

    def _kept(self, part: LearnedDefense, place: Place) -> Learned | None:
        """Return what the first shelf has, and copy it to those that lack it; None if nobody has it."""
        read = [self._on(shelf, part, place) for shelf in self._shelves]
        found = next((learned for learned in read if learned is not None), None)
        lacking = (shelf for shelf, learned in zip(self._shelves, read, strict=True) if learned is None)
        return None if found is None else self._keep(part, place, found, lacking)

    def _on(self, shelf: Shelf, part: LearnedDefense, place: Place) -> Learned | None:
        """Return a valid entry, or None, also if its model's behaviour differs from this one's beyond rounding."""
        tensors = shelf.recall(self.name(part, place), {_BEHAVIOUR} if part.needs_model else set())
        if tensors is None:
            return None
        if part.needs_model:
            try:
                if not Behaviour.from_bytes(tensors.pop(_BEHAVIOUR).numpy().tobytes()).same(self._behaviour):
                    return None
            except (SafetensorError, KeyError):
                return None
        return Learned(tensors)

    def _about(self, part: LearnedDefense) -> dict[str, torch.Tensor]:
        if not part.needs_model:
            return {}
        return {_BEHAVIOUR: torch.frombuffer(bytearray(self._behaviour.to_bytes()), dtype=torch.uint8)}

    @cached_property
    def _data(self) -> tuple[object, ...]:
        lessons = training_fingerprint_of(self.dataset)
        known = self.dataset.fingerprint, glimpse(self.dataset), source_hash(type(itself(self.dataset)))
        return (*known, lessons) if lessons else known

    def name(self, part: LearnedDefense, place: Place = ALONE) -> str:
        """Return the name of a part's entry: a hash of all that decides what it learns but device and thread count.

        The entry keeps their rounding, as trained weights do, so that all processes of a run use the same entry, also
        where the run is resumed on another machine.
        """
        model = (self.model.sha, self._behaviour.id, self.model.feature_names) if part.needs_model else None
        code = source_hash(type(part)), libraries(), named_files(part)
        beside = [(parameters(step), *made_of(step)) for step in (*place.before, *place.after)]
        key = digest(parameters(part), *code, self._data, self.seed, model, *beside)
        return f"{LEARNED}/{type(part).__name__}-{key}"
