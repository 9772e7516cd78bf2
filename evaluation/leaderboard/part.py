"""From a row of a leaderboard back to the part of its recipe that makes it."""

from collections.abc import Mapping, Sequence
from typing import get_args

from ...core.attack import Attack, UniversalAttack
from ...core.ensemble import Ensemble
from ...core.errors import ConfigError
from ...core.registry import NOTHING
from ..grid.defenses import systems
from ..grid.described import beside_threat, compact
from ..grid.parameters import parameters
from ..recipe.entries import Addressed, Knowledge, Named, NamedAttack
from ..recipe.recipe import Recipe

TextRow = Mapping[str, str]
"""A row of leaderboard.csv as it is written, by column."""


def part_of(recipe: Recipe, row: TextRow) -> Recipe:
    """The recipe of that row alone: its network and the source of its attack, the attack, the defense.

    An attack of an ensemble needs the whole ensemble, a worst case all of its group; all else of a recipe does not
    change a number. Raises ConfigError for a row that the recipe does not make.
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
            "keep_images": True,  # for the next member of an ensemble, and for the other rows of the attack
        }
    )


def together(parts: Sequence[Recipe]) -> Recipe:
    """One recipe of several that differ in their defenses only."""
    listed = [defense for part in parts for defense in part.defenses]
    return parts[0].model_copy(update={"defenses": [one for at, one in enumerate(listed) if one not in listed[:at]]})


def crafting(part: Recipe) -> str:
    """Names what is crafted for a part: those of one name can be run together."""
    return repr(part.model_dump(exclude={"defenses"}))


def _network(recipe: Recipe, label: str) -> Addressed:
    if label not in recipe.networks:
        raise ConfigError(f"{recipe.label} has no network {label!r}.")
    return recipe.networks[label]


def _attacks(recipe: Recipe, row: TextRow) -> list[NamedAttack]:
    """Those that the row is of, knowing what its attack knew."""
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
    """Every attack is scored on the bare network, which there is nothing to know about."""
    bare = (row["defense"], row["knowledge"]) == (NOTHING, "oblivious")
    return bare or row["knowledge"] in (entry.knowledge or recipe.knowledge)


def _is_of(entry: NamedAttack, attack: Attack | UniversalAttack, row: TextRow) -> bool:
    """Whether the row is the attack's, of one of its members, or of the worst case over its group."""
    if (row["norm"], row["eps"]) != (attack.norm, str(round(attack.eps, 6))):
        return False
    if isinstance(attack, Ensemble):
        return row["attack"] in {entry.name, *(f"{entry.name}/{member}" for member in attack.members)}
    own = compact(beside_threat(parameters(attack) | entry.training.told)) == row["attack_params"]
    return row["attack"] == entry.group or (row["attack"] == entry.name and own)


def _defenses(recipe: Recipe, row: TextRow) -> list[Named]:
    """The one that the row is scored through, and the other one that its attack is crafted through, if it is."""
    told = [(row["defense"], row["defense_params"])]
    if row["knowledge"] == "crossed":
        told.append((row["source_defense"], row["source_defense_params"]))
    bare, *defended = [(system.name, compact(system.parameters)) for system in systems(recipe)]
    for one in told:
        if one not in (bare, *defended):
            raise ConfigError(f"{recipe.label} has no defense {' '.join(one)}.")
    return [entry for entry, known in zip(recipe.defenses, defended, strict=True) if known in told]
