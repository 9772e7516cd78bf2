"""Load a network of a recipe, together with the recipe's images in the form that the network takes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ....core.dataset import Dataset
from ....core.errors import ConfigError
from ....core.model import Model
from ....datasets.pictures import Pictures
from ....models import load_model
from ...opening.scoring import as_scored
from ...recipe.entries import Addressed
from ..crafting.resizing import Resized


def load(
    entry: Addressed, dataset: Dataset, *, resize: bool, settings: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Model, Dataset]:
    """Return the network, and the data set as the network takes it: in its input size if `resize` allows that.

    `settings` change how the network's task is scored. Raises ConfigError for a data set of another task, number of
    classes or shape than the network's.
    """
    model = load_model(entry.name, **entry.parameters)
    if isinstance(dataset, Pictures):
        dataset = dataset.for_model(model)
    elif model.task != dataset.task:
        raise ConfigError(f"{entry.label} and {dataset.name} differ: {_difference(model, dataset)}.")
    _, *size = (mine or theirs for mine, theirs in zip(model.shape, dataset.shape, strict=True))
    if resize and size != list(dataset.shape[1:]):
        dataset = Resized(dataset, size)
    if any(mine not in (None, theirs) for mine, theirs in zip(model.shape, dataset.shape, strict=True)):
        raise ConfigError(
            f"{entry.label} takes images of {_by(model.shape)}, {dataset.name} has {_by(dataset.shape)}; where the "
            f"network can take those, give it size = {list(dataset.shape[1:])}."
        )
    return model.doing(as_scored(model.task, settings)) if settings else model, dataset


def _difference(model: Model, dataset: Dataset) -> str:
    mine, theirs = model.task, dataset.task
    if mine.class_scores is not None and theirs.class_scores is not None:
        return f"the network knows {mine.class_scores} classes, the images have labels of {theirs.class_scores}"
    if type(mine) is type(theirs):
        return f"the network does {mine}, the images are for {theirs}"
    return f"the network does {type(mine).__name__.lower()}, the images are for {type(theirs).__name__.lower()}"


def _by(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
