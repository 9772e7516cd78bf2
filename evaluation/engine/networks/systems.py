"""The bare model of a run and its defended ones, as they are scored and as an attack sees them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

from ....core.dataset import Dataset
from ....core.defense import Defense
from ....core.errors import FOREIGN, ConfigError, one_line
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
    """Made when they are asked for, and kept for the next attack. Raise ConfigError for a defense that cannot learn.

    `undo` restores the model and says whether it had been changed; `room` is for what they say of the clean images.
    Each is inspected on the `first` shard of the run, whichever it scores: what is found there holds for all processes.
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
        """The model alone, inspected when its scores are asked for."""
        return self._system(self.model)

    def scored(self, named: NamedDefense) -> System:
        """It remembers its predictions for the clean images, as far as there is room."""
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
        """How many images are crafted at once through it, which takes more memory than scoring.

        Kept, for it is asked of every shard, and looking whether the network has changed takes as long as an image.
        """
        if named.digest not in self._crafted:
            attacked = self.attacked(named)
            with self.checked(named):
                self._crafted[named.digest] = self._pieces(self._crafting, attacked)
        return self._crafted[named.digest]

    def _pieces(self, known: dict[int, Pieces], model: Model) -> Pieces:
        """Those of all systems that show the network as many views: who runs out of memory, does so for the others."""
        views = self._views(model)
        return known.setdefault(views, Pieces.of(self.recipe, self.model, views))

    def _views(self, model: Model) -> int:
        """How many images the network is given for one, where nobody says that memory runs out: on a processor."""
        if not model.shells or model.device.type != "cpu":
            return 1
        rng = Draws.of(self.recipe.seed, model.sha, "views", samples=self._one.samples, device=model.device)
        return len(model.seen(self._one.x.to(model.device), rng=rng))

    @cached_property
    def _one(self) -> Shard:
        """The first image of the run."""
        return self.first().part(slice(1))

    def attacked(self, named: NamedDefense) -> Model:
        defense = self.fitted(named)
        if defense is None:
            return self.model
        with self.checked(named):
            return adaptive(defense, self.model, draws=self.recipe.eot_draws)

    def checked(self, named: NamedDefense) -> AbstractContextManager[None]:
        """What the defense has changed of the model by then is undone, also where it raises.

        Raises ConfigError for such a defense, now and whenever it is asked for again.
        """
        return undoing(self.undo, lambda: self._refused(named))

    def _refused(self, named: NamedDefense) -> ConfigError:
        error = ConfigError(f"{named.name} has changed {self.model.name}; a defense gives another model instead.")
        self._defenses[named.digest] = error
        self._scored.pop(named.digest, None)
        return error

    def vanishing(self, named: NamedDefense) -> float:
        """At how large a share of images an attack on it finds no gradient."""
        if named.digest not in self._vanishing:
            attacked, seed = self.attacked(named), self.recipe.seed
            judged = judged_for_gradients(self.dataset, seed)
            share = vanishing_share(attacked, self.dataset.load(judged)[0], judged, seed, self.crafting(named).each)
            self._vanishing[named.digest] = share
        return self._vanishing[named.digest]

    def fitted(self, named: NamedDefense) -> Defense | None:
        """With all that it has to learn."""
        if named.defense is None:
            return None
        if named.digest not in self._defenses:
            self._defenses[named.digest] = self._educated(named, named.defense)
        found = self._defenses[named.digest]
        if isinstance(found, Defense):
            return found
        raise found

    def _educated(self, named: NamedDefense, defense: Defense) -> Defense | ConfigError:
        """An error where it cannot: it is not tried again."""
        try:
            return defense.with_learned(self.school.learned)
        except FOREIGN as error:  # whatever a defense raises is the message of its cells
            return ConfigError(f"{named.name} cannot learn: {one_line(error)}")
