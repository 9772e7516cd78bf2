"""Before a run: load what a recipe names."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...core.dataset import Dataset
from ...core.errors import FOREIGN, ConfigError
from ...core.model import Model
from ...core.registry import models
from ..leaderboard.table import Facts
from ..recipe.promises import open_dataset
from ..recipe.recipe import Recipe
from .grid import identity
from .sampling import sample


@dataclass(frozen=True)
class Prepared:
    """A recipe with all that it names: `models` by name, or why one could not be loaded."""

    recipe: Recipe
    dataset: Dataset
    models: Mapping[str, Model | BaseException]
    facts: Facts


def prepare(recipe: Recipe) -> Prepared:
    """Load data and models. What is known now is enough to find every cell of the run in the ledger again."""
    dataset = open_dataset(recipe.dataset)
    samples = sample(dataset, recipe.samples, recipe.sampling, recipe.seed)
    loaded, identities = {}, {}
    for name in recipe.models:
        try:
            model = _load(name, dataset)
            identities[name] = identity(recipe, dataset.fingerprint, model)
        except FOREIGN as error:  # a model that cannot be loaded costs its own cells only
            model = error
            identities[name] = identity(recipe, dataset.fingerprint, None)
        loaded[name] = model
    return Prepared(recipe, dataset, loaded, Facts(task=dataset.task, samples=samples, identities=identities))


def _load(name: str, dataset: Dataset) -> Model:
    model = models[name]()
    if not isinstance(model, Model):
        raise ConfigError(f"Expected model {name} to be a foolbench.core.Model, got {type(model).__name__}.")
    if model.task != dataset.task:
        raise ConfigError(f"{name} does {model.task}, but {dataset.name} asks for {dataset.task}.")
    return model
