"""The identity of a network in a run: all about it that decides the numbers of its cells."""

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
"""The identity of one network: facts by name, which the manifest keeps."""
Identities = Mapping[str, Identity]
"""The identities of a recipe's networks, by name."""
OWN = ""
"""The label of a network's own training images, among those of other data sets by their labels."""
TRAINING, SCORED = "training", "task"


def identity(
    recipe: Recipe,
    fingerprint: str,
    model: Model | None,
    behaviour: str = "",
    training: Mapping[str, str] = MappingProxyType({}),
) -> Identity:
    """Return the identity of a network.

    `fingerprint` is that of its data; `model` is None if it could not be loaded; `behaviour` names its outputs for the
    probe images; `training` has the fingerprints of the training images that are used, by the label of their data set.
    The number of samples and the batch size are left out, since no image's result depends on them.
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
        **({"layers": recipe.layers} if recipe.layers else {}),  # without any, keys are as before `layers` existed
        **({SCORED: recipe.task} if recipe.task else {}),
        **({TRAINING: dict(training)} if training else {}),
        **({} if model is None else _task_code(model.task)),
    }


def without_training(identity: Identity) -> Identity:
    """Return the identity as it counts for jobs and cells that use no training images."""
    return {fact: value for fact, value in identity.items() if fact != TRAINING}


def look(name: str, identities: Identities, samples: Sequence[int]) -> str:
    """Return a hash that names the look at a network with the clean images of these samples."""
    return digest(name, without_training(identities[name]), sorted(samples))


def seen_training(identity: Identity, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return (label, fingerprint) of the training images of these data sets, as far as the identity has them.

    It lacks those that other facts identify, such as the version of foolbench for its own data sets.
    """
    known = identity.get(TRAINING, {})
    return [(label, known[label]) for label in labels if label in known]


def _task_code(task: Task) -> Identity:
    """Return a hash of the code of a user's task; foolbench's own tasks are known by its version."""
    own = type(task).__module__.startswith("foolbench.")
    return {} if own else {"task_code": source_hash(type(task))}
