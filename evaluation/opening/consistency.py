"""Check a recipe as a whole before any work: that its names resolve, and that its parameters are valid together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...core.attack import Attack
from ...core.dataset import Dataset
from ...core.ensemble import Ensemble
from ...core.errors import ConfigError, UnknownNameError
from ...core.registry import attacks, models
from ...core.threat import Threat
from ...core.universal_attack import UniversalAttack
from ...core.words import counted
from ..grid.planned import planned
from ..recipe.recipe import Recipe
from .data import make_dataset
from .scoring import as_scored


def check_consistency(recipe: Recipe) -> None:
    """Raise ConfigError for a name that does not resolve, an invalid parameter, or settings that contradict."""
    dataset = make_dataset(recipe.dataset.name, recipe.dataset.parameters)
    _check_samples(recipe, dataset)
    if recipe.task:
        as_scored(dataset.task, recipe.task)  # raises for what are no settings of it
    _check_targeted(recipe, dataset)
    for gate in recipe.gates:
        gate.judges(dataset.task.metrics)
    for entry in recipe.networks.values():
        models.bind(entry.name, entry.parameters)  # raises for an unknown name or invalid parameter
    check_methods(recipe)


def check_methods(recipe: Recipe) -> None:
    """Check a recipe as `check_consistency` does, without its networks and data, which a finished run may lack."""
    recipe.build_defenses()
    if isinstance(recipe.expect_clean, dict):
        for name in recipe.expect_clean.keys() - recipe.networks.keys():
            raise UnknownNameError("model in expect_clean:", name, recipe.networks)
    _check_groups(recipe)
    _check_seeds(recipe)
    _check_training(recipe)
    _check_none_is_listed_twice(recipe)
    _check_ensembles(recipe)
    _check_gates(recipe)


def _check_samples(recipe: Recipe, dataset: Dataset) -> None:
    there = len(dataset)
    if recipe.samples > there:
        fewer = " or fewer" if there > 1 else ""
        raise ConfigError(
            f"{recipe.dataset.label} has {counted(there, 'evaluation image')}, the recipe asks for {recipe.samples}: "
            f"set samples = {there}{fewer}."
        )


def _check_targeted(recipe: Recipe, dataset: Dataset) -> None:
    """Check that targeted attacks are on images of one class each: a run draws another class as the target of each."""
    for attack in recipe.build_attacks():
        if isinstance(attack, Attack) and attack.targeted and dataset.task.class_scores is None:
            raise ConfigError(
                f"{attack!r}: a run draws targets where an image has one class, not for {dataset.task}. Set an aim of "
                "the attack, or call it yourself: attack(model, x, targets)."
            )


def _check_groups(recipe: Recipe) -> None:
    """Check the groups of attacks: a worst case is meaningful only over attacks of one threat."""
    threats: dict[str, Threat] = {}
    names = {*attacks, *(attack.name for attack in recipe.attacks)}
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if entry.group is None:
            continue
        if isinstance(attack, Ensemble):
            raise ConfigError(f"{entry.name} is a group of its own: leave group = {entry.group!r} out.")
        if entry.group in names:
            raise ConfigError(f"The group {entry.group!r} has the name of an attack; choose another.")
        first = threats.setdefault(entry.group, attack.threat)
        if attack.threat != first:
            raise ConfigError(f"Expected one threat in group {entry.group!r}, got {first} and {attack.threat}.")


def _check_ensembles(recipe: Recipe) -> None:
    """Check that no ensemble is listed twice under one threat: its members could not be told apart."""
    known: set[tuple[str, Threat]] = set()
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if not isinstance(attack, Ensemble):
            continue
        if (entry.name, attack.threat) in known:
            raise ConfigError(f"{entry.name} is listed twice under {attack.threat}: give each a recipe of its own.")
        known.add((entry.name, attack.threat))


def _check_seeds(recipe: Recipe) -> None:
    """Check that several seeds are set for randomized single attacks only."""
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if entry.seeds == 1:
            continue
        if isinstance(attack, Ensemble):
            raise ConfigError(f"{entry.name} is an ensemble, which has no mean over seeds: leave seeds out.")
        if not attack.randomized:
            raise ConfigError(f"{entry.name} has no part in chance, so that all seeds give the same: leave seeds out.")


def _check_training(recipe: Recipe) -> None:
    """Check that training images are set only for attacks that see some, and of data that they can use."""
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if not (told := entry.training.told):
            continue
        prior = attack.prior if isinstance(attack, UniversalAttack) else None
        if not (isinstance(attack, UniversalAttack) and attack.sees_training_images):
            seen = f'prior = "{prior}"' if prior else "no prior"
            raise ConfigError(f"{entry.name} with {seen} sees no training images: leave {' and '.join(told)} out.")
        if entry.training_data is None:
            continue
        if prior == "less-background":
            raise ConfigError(f"{entry.name} with prior {prior} needs maps of its own task: leave training_data out.")
        make_dataset(entry.training_data.name, entry.training_data.parameters)  # raises if it is invalid


def _check_gates(recipe: Recipe) -> None:
    """Check that each gate applies to some row: otherwise it could never fail."""
    rows = planned(recipe) if recipe.gates else []
    for gate in recipe.gates:
        if any(gate.matches(row.facts, row.labels) for row in rows):
            continue
        for column, value in gate.chosen.items():
            known = {row.labels.get(column, row.facts[column]) for row in rows}
            if value not in known | {row.facts[column] for row in rows}:
                raise UnknownNameError(f"{column} in a gate:", value, known)
        told = ", ".join(f"{column} = {value!r}" for column, value in gate.chosen.items())
        raise ConfigError(f"Expected each gate to be about a row, but none is of {told}; `foolbench plan` shows them.")


def _check_none_is_listed_twice(recipe: Recipe) -> None:
    """Check for duplicates among the entries, with budgets rounded to six decimals as tables show them."""
    as_shown = [replace(attack, eps=float(f"{attack.eps:.6f}") or attack.eps) for attack in recipe.build_attacks()]
    listed: dict[str, Sequence[tuple[str, Any]]] = {
        "models": [(label, None) for label in recipe.model_labels],
        "source_models": [(label, None) for label in recipe.source_labels],
        "attacks": [
            (entry.name, (attack, entry.training)) for entry, attack in zip(recipe.attacks, as_shown, strict=True)
        ],
        "defenses": [
            (entry.name, defense) for entry, defense in zip(recipe.defenses, recipe.build_defenses(), strict=True)
        ],
    }
    for kind, entries in listed.items():
        for place, (name, configuration) in enumerate(entries):
            if (name, configuration) in entries[:place]:
                raise ConfigError(
                    f"The recipe lists {name} twice, with equal parameters, among its {kind}; leave one out."
                )
