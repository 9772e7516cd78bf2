"""The bare and defended systems of one network, as they are scored and as an attack sees them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

from ....core.dataset import Dataset
from ....core.defense import Defense
from ....core.errors import ConfigError, foreign_errors, one_line
from ....core.model import Model
from ....core.seeding import Draws
from ....defenses.gradients import adaptive
from ...grid.defenses import NamedDefense
from ...recipe.recipe import Recipe
from ..crafting.gradients import judged_for_gradients, vanishing_share
from ..crafting.shard import Shard
from ..memory.pieces import Pieces
from ..memory.remembered import Room
from ..scoring.system import System
from .school import School
from .undoing import undoing


@dataclass(kw_only=True)
class Systems:
    """The bare and defended systems of one model, built on first use and kept. ConfigError if a defense cannot learn.

    `undo` restores the model and returns whether it had been changed; `room` is the memory for predictions of clean
    images. Each system is inspected on the `first` shard of the run, whichever shard it scores, so that all processes
    find the same.
    """

    recipe: Recipe
    dataset: Dataset
    model: Model
    school: School
    undo: Callable[[], bool]
    first: Callable[[], Shard]
    room: Room
    _defenses: dict[str, Defense | ConfigError] = field(default_factory=dict)
    _scored: dict[str, System] = field(default_factory=dict)
    _vanishing: dict[str, float] = field(default_factory=dict)
    _scoring: dict[int, Pieces] = field(default_factory=dict)
    _crafting: dict[int, Pieces] = field(default_factory=dict)
    _crafted: dict[str, Pieces] = field(default_factory=dict)

    @cached_property
    def bare(self) -> System:
        """The system without a defense; `scored` inspects it."""
        return self._system(self.model)

    def scored(self, named: NamedDefense) -> System:
        """Return the inspected system; it remembers its predictions for clean images as far as there is room."""
        if named.digest not in self._scored:
            defense = self.fitted(named)
            with self.checked(named):
                defended = self.model if defense is None else defense.defend(self.model)
                if not isinstance(defended, Model):
                    raise ConfigError(f"Expected {defense!r} to give a Model, got {type(defended).__name__}.")
                system = self.bare if defense is None else self._system(defended)
                system.clean(self.first())
            self._scored[named.digest] = system
        return self._scored[named.digest]

    def _system(self, model: Model) -> System:
        recipe, kept = self.recipe, {"room": self.room, "pieces": self._pieces(self._scoring, model)}
        return System(model, recipe.seed, recipe.draws, layers=recipe.layers, **kept)

    def crafting(self, named: NamedDefense) -> Pieces:
        """Return the pieces for crafting through a defense, which takes more memory than scoring.

        They are kept: every shard asks for them, and checking whether the network has changed takes as long as an
        image.
        """
        if named.digest not in self._crafted:
            attacked = self.attacked(named)
            with self.checked(named):
                self._crafted[named.digest] = self._pieces(self._crafting, attacked)
        return self._crafted[named.digest]

    def _pieces(self, known: dict[int, Pieces], model: Model) -> Pieces:
        """Return the pieces that systems with equally many views share: memory that runs out for one, does for all."""
        views = self._views(model)
        return known.setdefault(views, Pieces.of(self.recipe, self.model, views))

    def _views(self, model: Model) -> int:
        """Return how many inputs the network gets per image; 1 on a GPU, which reports when its memory runs out."""
        if not model.shells or model.device.type != "cpu":
            return 1
        rng = Draws.of(self.recipe.seed, model.sha, "views", samples=self._one.samples, device=model.device)
        return len(model.seen(self._one.x.to(model.device), rng=rng))

    @cached_property
    def _one(self) -> Shard:
        """A shard of the first evaluation image only."""
        return self.first().part(slice(1))

    def attacked(self, named: NamedDefense) -> Model:
        """Return the model as an adaptive attack sees it: behind the defense, with its surrogate gradients and EOT."""
        defense = self.fitted(named)
        if defense is None:
            return self.model
        with self.checked(named):
            return adaptive(defense, self.model, draws=self.recipe.eot_draws)

    def checked(self, named: NamedDefense) -> AbstractContextManager[None]:
        """Return a context for code of a defense; changes of the model are undone at its end, also after an error.

        The context raises ConfigError for a defense that changes the model, and so does every later request for it.
        """
        return undoing(self.undo, lambda: self._refused(named))

    def _refused(self, named: NamedDefense) -> ConfigError:
        error = ConfigError(f"{named.name} has changed {self.model.name}; a defense gives another model instead.")
        self._defenses[named.digest] = error
        self._scored.pop(named.digest, None)
        return error

    def vanishing(self, named: NamedDefense) -> float:
        """Return the share of images, in [0, 1], at which an attack through a defense finds no gradient."""
        if named.digest not in self._vanishing:
            attacked, seed = self.attacked(named), self.recipe.seed
            judged = judged_for_gradients(self.dataset, seed)
            share = vanishing_share(attacked, self.dataset.load(judged)[0], judged, seed, self.crafting(named).each)
            self._vanishing[named.digest] = share
        return self._vanishing[named.digest]

    def fitted(self, named: NamedDefense) -> Defense | None:
        """Return the defense with what it learns; None without a defense. Raises ConfigError if it cannot be used."""
        if named.defense is None:
            return None
        if named.digest not in self._defenses:
            self._defenses[named.digest] = self._educated(named, named.defense)
        found = self._defenses[named.digest]
        if isinstance(found, Defense):
            return found
        raise found

    def _educated(self, named: NamedDefense, defense: Defense) -> Defense | ConfigError:
        """Return the fitted defense, or the error by which it cannot learn, so that it is not tried again."""
        try:
            return defense.with_learned(self.school.learned)
        except foreign_errors() as error:  # its cells fail with whatever a defense raises
            return ConfigError(f"{named.name} cannot learn: {one_line(error)}")
