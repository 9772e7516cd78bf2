"""Before a run: load what a recipe names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.dataset import Dataset
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.registry import datasets
from ...models import load_model
from ...tasks.recognition import Recognition
from ..leaderboard.table import Facts
from ..recipe.recipe import NamedModel, Recipe
from .grid import identity


@dataclass(frozen=True)
class Prepared:
    """A recipe with all that it names: `models` by name, or why one could not be loaded."""

    recipe: Recipe
    dataset: Dataset
    models: Mapping[str, Model | Exception]
    facts: Facts


def prepare(recipe: Recipe) -> Prepared:
    """Load data and models. What is known now is enough to find every cell of the run in the ledger again."""
    dataset = datasets[recipe.dataset]()
    loaded, identities = {}, {}
    for entry in recipe.models:
        name = entry.label
        try:
            model = _load(entry, dataset)
            identities[name] = identity(recipe, dataset.fingerprint, model)
        except Exception as error:  # noqa: BLE001 (a model that cannot be loaded costs its own cells only)
            model = error
            identities[name] = identity(recipe, dataset.fingerprint, None)
        loaded[name] = model
    return Prepared(recipe, dataset, loaded, Facts(task=dataset.task, identities=identities))


def _load(entry: NamedModel, dataset: Dataset) -> Model:
    """Raises ConfigError for a model that cannot be asked about these images, saying what differs."""
    model = load_model(entry.name, **entry.parameters)
    if model.task != dataset.task:
        raise ConfigError(f"{entry.label} and {dataset.name} differ: {_difference(model, dataset)}.")
    expected = [size for size in zip(model.shape, dataset.shape, strict=True) if size[0] not in (None, size[1])]
    if expected:
        raise ConfigError(
            f"{entry.label} takes images of {_by(model.shape)}, {dataset.name} has {_by(dataset.shape)}; where the "
            f"network can take those, give it size = {list(dataset.shape[1:])}."
        )
    return model


def _difference(model: Model, dataset: Dataset) -> str:
    mine, theirs = model.task, dataset.task
    if isinstance(mine, Recognition) and isinstance(theirs, Recognition):
        return f"the network knows {mine.classes} classes, the images have labels of {theirs.classes}"
    return f"the network does {type(mine).__name__.lower()}, the images are for {type(theirs).__name__.lower()}"


def _by(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
