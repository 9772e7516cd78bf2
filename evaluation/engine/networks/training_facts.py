"""Which training images the methods of a recipe see, by hash: they are no part of the fingerprint of the data.

A data set of somebody's own that does not say them is known by its code. Those of foolbench are by its version.
"""

from ....core.dataset import Dataset
from ....core.errors import FOREIGN
from ....core.training_images import training_fingerprint_of
from ...grid.cells import draws_from
from ...grid.defenses import systems
from ...grid.identity import OWN
from ...grid.sources import source_hash
from ...recipe.entries import Addressed
from ...recipe.recipe import Recipe
from ..crafting.elsewhere import elsewhere, original


def training_facts(recipe: Recipe, dataset: Dataset) -> dict[str, str]:
    """The fingerprint of each data set's training images by its label, those of `dataset` as OWN.

    Only of those that are seen: to look at all pictures of a folder takes its time. What has none, or cannot be opened,
    is left out; whoever asks for such images is told why.
    """
    attacks = zip(recipe.attacks, recipe.build_attacks(), strict=True)
    seen = {label: entry.training_data for entry, attack in attacks for label in draws_from(attack, entry.training)}
    if any(named.learns for named in systems(recipe)):
        seen[OWN] = None
    found = {label: _fingerprint(data, dataset) for label, data in seen.items()}
    return {label: fingerprint for label, fingerprint in found.items() if fingerprint}


def _fingerprint(data: Addressed | None, dataset: Dataset) -> str:
    try:
        seen = dataset if data is None else elsewhere(data, dataset)
        return training_fingerprint_of(seen) or _code(original(seen))
    except FOREIGN:
        return ""


def _code(dataset: Dataset) -> str:
    """Of a stranger's data set."""
    cls = type(dataset)
    return "" if cls.__module__.startswith("foolbench.") else source_hash(cls)
