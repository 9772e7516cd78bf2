"""What every process of a run has to know, as one value: recipe, code and data by name and by hash."""

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
from .loading import load
from .prepare import Prepared
from .training_facts import training_facts


@dataclass(frozen=True)
class Plugin:
    """A file of Python that registers names, or that a name of the recipe lies in."""

    path: Path
    content: bytes

    @classmethod
    def of(cls, path: Path) -> "Plugin":
        return cls(path.absolute(), path.read_bytes())

    def load(self, scratch: Path) -> None:
        """From where it lies, beside all that it may need there; where that is another file, from a copy of its own."""
        path = self.path
        if not path.is_file() or path.read_bytes() != self.content:
            path = scratch / "plugins" / hashlib.sha256(self.content).hexdigest()[:16] / self.path.name
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.content)
        load_file(path)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """`samples` are those of the run; `behaviours` what each network answers to the probes.

    All that is kept lies in `folder`, but for what a `cache` is there for: what defenses learn, and what attacks craft
    unless it is to be `crafted_anew`.
    """

    recipe: Recipe
    samples: Sequence[int]
    identities: Identities
    behaviours: Mapping[str, bytes]
    plugins: Sequence[Plugin]
    folder: Path
    device: str
    cache: Cache | None = None
    crafted_anew: bool = False

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
            crafted_anew=crafted_anew,
        )

    @property
    def own(self) -> Shelf:
        """The run's folder."""
        return Shelf(self.folder)

    @property
    def shared(self) -> Cache | None:
        """Where attacks find what was crafted in other runs."""
        return None if self.crafted_anew else self.cache

    def at(self, place: int) -> "Setup":
        """For one of several places: they take the GPUs in turn."""
        return replace(self, device=f"cuda:{place % torch.cuda.device_count()}") if self.device == "cuda" else self

    def begin(self) -> None:
        """Make this process one that knows the names of the recipe. Raises ConfigError where a plugin fails here."""
        be_repeatable(self.device)
        keep_freed_memory()
        load_plugins([])
        for plugin in self.plugins:
            plugin.load(self.folder)


class Loader:
    """Loads the networks of a run in another process, each once, and sees that they are those of the run."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._dataset: Dataset | None = None

    def __call__(self, name: str) -> tuple[Model, Dataset]:
        """The network, on the CPU, and the images for it. Raises ConfigError where it is another one here."""
        recipe, known = self._setup.recipe, self._setup.identities[name]
        if self._dataset is None:
            self._dataset = make_dataset(recipe.dataset.name, recipe.dataset.parameters)
        model, images = load(recipe.networks[name], self._dataset, resize=name not in recipe.model_labels)
        training = training_facts(recipe, images)
        found = identity(recipe, images.fingerprint, model, known["behaviour"], training)
        others = [fact for fact in {**known, **found} if found.get(fact) != known.get(fact)]
        answers = self._setup.behaviours.get(name)
        if answers is not None and not Behaviour.from_bytes(answers).same(Behaviour.of(model, images.shape)):
            others.append("behaviour")
        if others:
            raise ConfigError(
                f"{name} is not what it is where the run was begun ({', '.join(others)}): every machine needs the same "
                "code, weights and images."
            )
        return model, images
