"""Before a run, load the networks and images of a recipe, and check that attacks on the networks can be judged."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from safetensors import SafetensorError

from ....core.behaviour import Behaviour
from ....core.dataset import Dataset, clusters_of
from ....core.errors import ConfigError, FoolbenchError, OutputError, foreign_errors, one_line
from ....core.model import Model
from ....core.registry import tasks
from ....datasets.pictures import Pictures
from ...conformance.steady import check_steady
from ...grid.facts import Facts
from ...grid.grid import Grid
from ...grid.identity import identity
from ...grid.sampling import sample
from ...ledger.ledger import Ledger
from ...opening.data import open_dataset
from ...recipe.recipe import Recipe
from ..memory.heap import keep_freed_memory
from .behaving import behaviour
from .loading import load
from .training_facts import training_facts

EXAMINED = 4
"""The number of images on which a network is checked to be deterministic, and unchanged by a forward pass."""


@dataclass(frozen=True)
class Prepared:
    """A recipe with its loaded networks and images.

    `models` has each network by name, source networks included, or the error by which it could not be loaded.
    `datasets` has the evaluation images for each network, in its input size and with its classes.
    """

    recipe: Recipe
    models: Mapping[str, Model | BaseException]
    datasets: Mapping[str, Dataset]
    facts: Facts

    @cached_property
    def grid(self) -> Grid:
        """The jobs and cells of the recipe, under the names that they have in the ledger."""
        return Grid(self.recipe, self.facts.identities)

    def network(self, name: str) -> tuple[Model, Dataset]:
        """Return a network and the images for it. Raises the error by which it could not be loaded."""
        model = self.models[name]
        if isinstance(model, BaseException):
            raise model
        return model, self.datasets[name]


def prepare(recipe: Recipe, ledger: Ledger, device: str = "cpu") -> Prepared:
    """Load the data and networks of a recipe, and identify them, so that the ledger finds every cell of the run again.

    A network that changes itself, or whose outputs depend on more than the image, counts as one that cannot be loaded.
    A network whose hash the ledger knows with other outputs gets cells of its own. Raises ConfigError, or the error of
    the only network, if none is left to attack or none to score; ConfigError if a method does not apply to the task.
    """
    keep_freed_memory()
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.parameters)
    samples = sample(dataset, recipe.samples, recipe.sampling, recipe.seed)
    loaded, images, identities = {}, {}, {}
    for name, entry in recipe.networks.items():
        try:
            model, images[name] = load(entry, dataset, resize=name not in recipe.model_labels, settings=recipe.task)
            model.to(device)
            check_steady(model, images[name].load(samples[:EXAMINED])[0].to(model.device))
            known = recognized(ledger, model.sha, behaviour(model, images[name]))
            training = training_facts(recipe, images[name])
            identities[name] = identity(recipe, images[name].fingerprint, model.to("cpu"), known, training)
        except OutputError:
            raise
        except foreign_errors() as error:  # a model that cannot be loaded costs its own cells only
            model, images[name] = error, dataset
            identities[name] = identity(recipe, dataset.fingerprint, None)
        loaded[name] = model
    for labels in (recipe.source_labels, recipe.model_labels):
        _check_one_is_left({label: loaded[label] for label in labels})
    task = next((model.task for model in loaded.values() if isinstance(model, Model)), dataset.task)
    if tasks.name_of(task) is None:
        raise ConfigError(f"Expected a task with a name, by which tables can be read; add @register_task to {task!r}.")
    for method in (*recipe.build_attacks(), *recipe.build_defenses()):
        method.check_task(task)
    skipped = dataset.skipped if isinstance(dataset, Pictures) else {}
    clusters = clusters_of(dataset, samples)
    facts = Facts(task=task, samples=samples, identities=identities, clusters=clusters, skipped=skipped)
    return Prepared(recipe, loaded, images, facts)


def _check_one_is_left(loaded: Mapping[str, Model | BaseException]) -> None:
    problems = {name: found for name, found in loaded.items() if not isinstance(found, Model)}
    if len(problems) < len(loaded):
        return
    name, error = next(iter(problems.items()))
    if len(problems) == 1 and isinstance(error, FoolbenchError):
        raise error
    why = str(error) if isinstance(error, FoolbenchError) else one_line(error)
    which = f"{name} cannot be used" if len(problems) == 1 else f"None of {len(problems)} networks can be used, {name}"
    raise ConfigError(f"{which}: {why}") from error


def recognized(ledger: Ledger, sha: str, found: Behaviour) -> str:
    """Return the id of the first known behaviour of this hash that is equal up to rounding, or else of a new record."""
    known = ledger.behaviours(sha)
    for name, answers in known.items():
        try:
            if Behaviour.from_bytes(answers).same(found):
                return name
        except (SafetensorError, KeyError, TypeError):
            continue  # a damaged record matches no network
    answers = found.to_bytes()
    name = found.id if found.id not in known else hashlib.sha256(answers).hexdigest()[:16]
    ledger.write_behaviour(sha, name, answers)
    return name
