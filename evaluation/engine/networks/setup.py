"""All that a process of a run must know, as one value: recipe, code and data by name and by hash."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ....core.behaviour import Behaviour
from ....core.dataset import Dataset
from ....core.errors import ConfigError
from ....core.files import writing
from ....core.model import Model
from ....core.python_objects import load_file, loaded_files
from ....core.repeatable import be_repeatable
from ...grid.identity import Identities, identity
from ...ledger.ledger import Ledger
from ...opening.data import make_dataset
from ...recipe.plugins import load_plugins
from ...recipe.recipe import Recipe
from ..cache.cache import Cache
from ..cache.shelf import Shelf
from ..memory.heap import keep_freed_memory
from .behaving import behaviour
from .loading import load
from .prepare import Prepared
from .training_facts import training_facts


@dataclass(frozen=True)
class Plugin:
    """A Python file that registers names, or that defines an object which the recipe names."""

    path: Path
    content: bytes

    @classmethod
    def of(cls, path: Path) -> "Plugin":
        return cls(path.absolute(), path.read_bytes())

    def load(self, scratch: Path) -> None:
        """Load the file from its path, next to files that it may need, or if it differs here, a copy in `scratch`."""
        path = self.path
        if not path.is_file() or path.read_bytes() != self.content:
            path = scratch / "plugins" / hashlib.sha256(self.content).hexdigest()[:16] / self.path.name
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.content)
        load_file(path)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all processes of a run share. `behaviours` are the networks' serialised behaviours, by network name.

    Results are kept in `folder`. What defenses learn also goes to the `cache`, and what attacks craft goes to the cache
    that is `shared`; each is None where there is none.
    """

    recipe: Recipe
    samples: Sequence[int]
    identities: Identities
    behaviours: Mapping[str, bytes]
    plugins: Sequence[Plugin]
    folder: Path
    device: str
    cache: Cache | None = None
    shared: Cache | None = None

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        ledger: Ledger,
        folder: Path,
        device: str,
        *,
        cache: Cache | None = None,
        crafted_anew: bool = False,
    ) -> "Setup":
        """Return the setup of a run; what other runs have crafted is not used if all is to be `crafted_anew`."""
        identities = prepared.facts.identities
        answers = {
            name: ledger.behaviours(known["model_sha"]).get(known["behaviour"]) for name, known in identities.items()
        }
        return cls(
            recipe=prepared.recipe,
            samples=prepared.facts.samples,
            identities=identities,
            behaviours={name: found for name, found in answers.items() if found is not None},
            plugins=[Plugin.of(path) for path in loaded_files() if path.is_file()],
            folder=folder,
            device=device,
            cache=cache,
            shared=None if crafted_anew else cache,
        )

    @property
    def own(self) -> Shelf:
        """The shelf in the run's own folder."""
        return Shelf(self.folder)

    def at(self, place: int) -> "Setup":
        """Return the setup for one of several places, to which the GPUs are assigned in turn."""
        return replace(self, device=f"cuda:{place % torch.cuda.device_count()}") if self.device == "cuda" else self

    def begin(self) -> None:
        """Prepare this process and load the plugins that the recipe needs. Raises ConfigError if a plugin fails."""
        be_repeatable(self.device)
        keep_freed_memory()
        load_plugins([])
        for plugin in self.plugins:
            plugin.load(self.folder)


class Loader:
    """Loads the networks of a run in another process, and checks that they are those of the run."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._dataset: Dataset | None = None

    def __call__(self, name: str) -> tuple[Model, Dataset]:
        """Return a network, on the CPU, and its images. Raises ConfigError if code, weights or images differ here."""
        recipe, known = self._setup.recipe, self._setup.identities[name]
        if self._dataset is None:
            self._dataset = make_dataset(recipe.dataset.name, recipe.dataset.parameters)
        entry, resize = recipe.networks[name], name not in recipe.model_labels
        model, images = load(entry, self._dataset, resize=resize, settings=recipe.task)
        training = training_facts(recipe, images)
        found = identity(recipe, images.fingerprint, model, known["behaviour"], training)
        others = [fact for fact in {**known, **found} if found.get(fact) != known.get(fact)]
        answers = self._setup.behaviours.get(name)
        if answers is not None and not Behaviour.from_bytes(answers).same(behaviour(model, images)):
            others.append("behaviour")
        if others:
            raise ConfigError(
                f"{name} is not what it is where the run was begun ({', '.join(others)}): every machine needs the same "
                "code, weights and images."
            )
        return model, images
