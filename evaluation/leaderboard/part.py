"""Reduce a recipe to the part that makes one row of its leaderboard."""

from collections.abc import Mapping, Sequence
from typing import get_args

from ...core.attack import Attack
from ...core.ensemble import Ensemble
from ...core.errors import ConfigError
from ...core.registry import NOTHING
from ...core.universal_attack import UniversalAttack
from ..grid.defenses import systems
from ..grid.described import beside_threat, compact
from ..grid.parameters import parameters
from ..recipe.entries import Addressed, Knowledge, Named, NamedAttack
from ..recipe.recipe import Recipe

TextRow = Mapping[str, str]
"""The text of a row of leaderboard.csv, by column."""


def part_of(recipe: Recipe, row: TextRow) -> Recipe:
    """Return the recipe of a row alone, with its model, source model, attack and defenses only.

    A member of an ensemble needs the whole ensemble, a worst case all attacks of its group; nothing else in a recipe
    changes a number of the row. Raises ConfigError for a row that the recipe does not make.
    """
    source, model = _network(recipe, row["source_model"]), _network(recipe, row["model"])
    rates = {entry.label: recipe.expected_clean(entry.label) for entry in (source, model)}
    return recipe.model_copy(
        update={
            "models": [model],
            "source_models": [] if source == model else [source],
            "attacks": _attacks(recipe, row),
            "defenses": _defenses(recipe, row),
            "expect_clean": {label: rate for label, rate in rates.items() if rate is not None} or None,
            "gates": [],
            "keep_images": True,  # reused by the next member of an ensemble, and by other rows of the attack
        }
    )


def together(parts: Sequence[Recipe]) -> Recipe:
    """Merge recipes that differ in their defenses only."""
    listed = [defense for part in parts for defense in part.defenses]
    return parts[0].model_copy(update={"defenses": [one for at, one in enumerate(listed) if one not in listed[:at]]})


def crafting(part: Recipe) -> str:
    """Return a key that is equal for parts that differ in their defenses only, which can be run together."""
    return repr(part.model_dump(exclude={"defenses"}))


def _network(recipe: Recipe, label: str) -> Addressed:
    if label not in recipe.networks:
        raise ConfigError(f"{recipe.label} has no network {label!r}.")
    return recipe.networks[label]


def _attacks(recipe: Recipe, row: TextRow) -> list[NamedAttack]:
    """Return the attacks that a row needs, each with the row's knowledge alone. Raises ConfigError for none."""
    known: list[Knowledge] = [one for one in get_args(Knowledge) if one == row["knowledge"]]
    found = [
        entry.model_copy(update={"knowledge": known})
        for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True)
        if known and _knows(recipe, entry, row) and _is_of(entry, attack, row)
    ]
    if not found:
        told = f"{row['attack']} {row['attack_params']} in {row['norm']} with eps = {row['eps']}, {row['knowledge']}"
        raise ConfigError(f"{recipe.label} has no attack {told}.")
    return found


def _knows(recipe: Recipe, entry: NamedAttack, row: TextRow) -> bool:
    """Return whether an attack has rows with this knowledge; on the bare network every attack has an oblivious row."""
    bare = (row["defense"], row["knowledge"]) == (NOTHING, "oblivious")
    return bare or row["knowledge"] in (entry.knowledge or recipe.knowledge)


def _is_of(entry: NamedAttack, attack: Attack | UniversalAttack, row: TextRow) -> bool:
    """Return whether a row is that of an attack, of one of its members, or of the worst case over its group."""
    if (row["norm"], row["eps"]) != (attack.norm, str(round(attack.eps, 6))):
        return False
    if isinstance(attack, Ensemble):
        return row["attack"] in {entry.name, *(f"{entry.name}/{member}" for member in attack.members)}
    own = compact(beside_threat(parameters(attack) | entry.training.told)) == row["attack_params"]
    return row["attack"] == entry.group or (row["attack"] == entry.name and own)


def _defenses(recipe: Recipe, row: TextRow) -> list[Named]:
    """Return the defenses that a row is scored and crafted through. Raises ConfigError for one the recipe lacks."""
    told = [(row["defense"], row["defense_params"])]
    if row["knowledge"] == "crossed":
        told.append((row["source_defense"], row["source_defense_params"]))
    bare, *defended = [(system.name, compact(system.parameters)) for system in systems(recipe)]
    for one in told:
        if one not in (bare, *defended):
            raise ConfigError(f"{recipe.label} has no defense {' '.join(one)}.")
    return [entry for entry, known in zip(recipe.defenses, defended, strict=True) if known in told]
