"""What a network brings into the numbers of the cells that it has a part in."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from ...core.model import Model
from ...core.task import Task
from ..recipe.recipe import Recipe
from .digest import digest
from .sources import net_hash, source_hash

Identity = dict[str, Any]
"""That of one network. It is kept in the manifest."""
Identities = Mapping[str, Identity]
"""Those of the networks of a recipe, by name."""
OWN = ""
"""Among the training images that are known by the label of their data: those of a network's own."""
TRAINING = "training"


def identity(
    recipe: Recipe,
    fingerprint: str,
    model: Model | None,
    behaviour: str = "",
    training: Mapping[str, str] = MappingProxyType({}),
) -> Identity:
    """`model` is None where it could not be loaded; `behaviour` names what it answers to the probes, `training` the
    training images that are seen, by the label of their data. How many samples, and in what batches, does not matter.
    """
    return {
        "data": fingerprint,
        "model_sha": "" if model is None else model.sha,
        "behaviour": behaviour,
        "model_code": "" if model is None else net_hash(model.net),
        "features": [] if model is None else list(model.feature_names),
        "seed": recipe.seed,
        "storage": recipe.storage,
        "draws": recipe.draws,
        "eot_draws": recipe.eot_draws,
        "foolbench": version("foolbench"),
        **({"layers": recipe.layers} if recipe.layers else {}),  # without any, cells are called what they always were
        **({TRAINING: dict(training)} if training else {}),
        **({} if model is None else _task_code(model.task)),
    }


def without_training(identity: Identity) -> Identity:
    """What counts where no training images are seen."""
    return {fact: value for fact, value in identity.items() if fact != TRAINING}


def look(name: str, identities: Identities, samples: Sequence[int]) -> str:
    """Names what a network of a run was seen to make of these clean images."""
    return digest(name, without_training(identities[name]), sorted(samples))


def seen_training(identity: Identity, labels: Sequence[str]) -> list[tuple[str, str]]:
    """The training images of these data, as far as they are known: by the code of a data set they are known anyway."""
    known = identity.get(TRAINING, {})
    return [(label, known[label]) for label in labels if label in known]


def _task_code(task: Task) -> Identity:
    """That of a stranger's task; foolbench's own are known by its version."""
    own = type(task).__module__.startswith("foolbench.")
    return {} if own else {"task_code": source_hash(type(task))}
