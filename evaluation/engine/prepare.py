"""Before a run: load what a recipe names."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...core.dataset import Dataset
from ...core.model import Model
from ...tasks.recognition import Recognition
from ..leaderboard.table import Facts
from ..recipe.promises import open_dataset
from ..recipe.recipe import Recipe
from .grid import identity
from .loading import load
from .sampling import sample


@dataclass(frozen=True)
class Prepared:
    """A recipe with all that it names: `models` by name, or why one could not be loaded.

    `datasets` are the images for each: of its size, with its classes.
    """

    recipe: Recipe
    models: Mapping[str, Model | Exception]
    datasets: Mapping[str, Dataset]
    facts: Facts


def prepare(recipe: Recipe) -> Prepared:
    """Load data and models. What is known now is enough to find every cell of the run in the ledger again."""
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.parameters)
    samples = sample(dataset, recipe.samples, recipe.sampling, recipe.seed)
    loaded, images, identities = {}, {}, {}
    for entry in recipe.models:
        name = entry.label
        try:
            model, images[name] = load(entry, dataset)
            identities[name] = identity(recipe, images[name].fingerprint, model)
        except Exception as error:  # noqa: BLE001 (a model that cannot be loaded costs its own cells only)
            model, images[name] = error, dataset
            identities[name] = identity(recipe, dataset.fingerprint, None)
        loaded[name] = model
    task = next(
        (model.task for model in loaded.values() if isinstance(model, Model)), dataset.task or Recognition(classes=2)
    )
    return Prepared(recipe, loaded, images, Facts(task=task, samples=samples, identities=identities))
