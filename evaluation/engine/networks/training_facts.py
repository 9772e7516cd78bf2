"""Fingerprint the training images that the methods of a recipe see, which a data set's fingerprint may not cover.

A third-party data set without a training fingerprint is identified by its code, one of foolbench by the version.
"""

from ....core.dataset import Dataset
from ....core.errors import foreign_errors
from ....core.training_images import training_fingerprint_of
from ...grid.cells import draws_from
from ...grid.defenses import systems
from ...grid.identity import OWN
from ...grid.sources import source_hash
from ...recipe.entries import Addressed
from ...recipe.recipe import Recipe
from ..crafting.elsewhere import elsewhere, original


def training_facts(recipe: Recipe, dataset: Dataset) -> dict[str, str]:
    """Return the fingerprint of each data set's training images by the set's label; OWN is the label of `dataset`.

    Only images that a method sees are fingerprinted: reading all pictures of a folder takes long. Data without a
    fingerprint, or that cannot be opened, are left out; the method that requests such images gets the error.
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
    except foreign_errors():
        return ""


def _code(dataset: Dataset) -> str:
    """Return the source hash of a third-party data set; empty for one of foolbench."""
    cls = type(dataset)
    return "" if cls.__module__.startswith("foolbench.") else source_hash(cls)
