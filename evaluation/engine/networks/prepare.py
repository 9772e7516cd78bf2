"""Before a run: load what a recipe names, and see that its networks are what attacks can be judged on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from safetensors import SafetensorError

from ....core.behaviour import Behaviour
from ....core.dataset import Dataset, clusters_of
from ....core.errors import FOREIGN, ConfigError, FoolbenchError, OutputError, one_line
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
from .loading import load
from .training_facts import training_facts

EXAMINED = 4
"""On how many images a network shows that it keeps still."""


@dataclass(frozen=True)
class Prepared:
    """A recipe with all that it names: `models` by name, those that attacks are crafted on too, or why one could not be
    loaded.

    `datasets` are the images for each: of its size, with its classes.
    """

    recipe: Recipe
    models: Mapping[str, Model | BaseException]
    datasets: Mapping[str, Dataset]
    facts: Facts

    @cached_property
    def grid(self) -> Grid:
        """The jobs and cells of the recipe, under their names in the ledger."""
        return Grid(self.recipe, self.facts.identities)

    def network(self, name: str) -> tuple[Model, Dataset]:
        """With the images for it. Raises what kept it from being loaded."""
        model = self.models[name]
        if isinstance(model, BaseException):
            raise model
        return model, self.datasets[name]


def prepare(recipe: Recipe, ledger: Ledger, device: str = "cpu") -> Prepared:
    """Load data and models. What is known now is enough to find every cell of the run in the ledger again.

    A network that changes itself, or whose answers depend on more than the image, counts as one that cannot be loaded.
    One with the hash of another that is known to the ledger, and other answers, gets cells of its own. Raises
    ConfigError where no network is left to attack, or none to score, or an attack makes no sense for the task.
    """
    keep_freed_memory()
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.parameters)
    samples = sample(dataset, recipe.samples, recipe.sampling, recipe.seed)
    loaded, images, identities = {}, {}, {}
    for name, entry in recipe.networks.items():
        try:
            model, images[name] = load(entry, dataset, resize=name not in recipe.model_labels)
            model.to(device)
            check_steady(model, images[name].load(samples[:EXAMINED])[0].to(model.device))
            behaviour = recognized(ledger, model.sha, Behaviour.of(model, images[name].shape))
            training = training_facts(recipe, images[name])
            identities[name] = identity(recipe, images[name].fingerprint, model.to("cpu"), behaviour, training)
        except OutputError:
            raise
        except FOREIGN as error:  # a model that cannot be loaded costs its own cells only
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
    """The id of the first known behaviour of this hash that is the same but for rounding; a new one where none is."""
    known = ledger.behaviours(sha)
    for name, answers in known.items():
        try:
            if Behaviour.from_bytes(answers).same(found):
                return name
        except (SafetensorError, KeyError, TypeError):
            continue  # a damaged record knows nobody
    answers = found.to_bytes()
    name = found.id if found.id not in known else hashlib.sha256(answers).hexdigest()[:16]
    ledger.write_behaviour(sha, name, answers)
    return name
