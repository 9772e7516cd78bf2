"""The grid that a recipe spans."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from ...core.attack import Attack, UniversalAttack
from ...core.ensemble import Ensemble
from ..recipe.entries import Knowledge, NamedAttack
from ..recipe.recipe import Recipe
from .cells import Cell, Job
from .defenses import NamedDefense, systems


def jobs(recipe: Recipe, source: str) -> Iterator[tuple[Job, list[Cell]]]:
    """Each job of one network with the cells that score it, model by model.

    What is crafted on the bare network is scored on bare models and, as oblivious, through every defense; what is
    crafted through a defense is scored through that, and crossed on all other systems. An attack that asks the model
    nothing gains nothing from knowing one.
    """
    every = systems(recipe)
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        knowledge = entry.knowledge or recipe.knowledge
        models = _models(recipe, source, attack)
        for through in every[:1] if attack.access == "none" else every:
            scored = [system for system in every if _is_scored(through, system, knowledge)]
            for job in _jobs(source, entry, attack, through) if models and scored else ():
                yield job, [Cell(job=job, model=model, defense=system) for model in models for system in scored]


def _is_scored(through: NamedDefense, system: NamedDefense, knowledge: Collection[Knowledge]) -> bool:
    """Whether what is crafted through a system is scored on another, or on itself: the bare one always is on itself."""
    if through == system:
        return through.defense is None or "adaptive" in knowledge
    return ("oblivious" if through.defense is None else "crossed") in knowledge


def cells(recipe: Recipe, model: str) -> list[Cell]:
    """Those that score one model, whatever they are crafted on."""
    rows = (row for source in recipe.networks for _, row in jobs(recipe, source))
    return [cell for row in rows for cell in row if cell.model == model]


def _models(recipe: Recipe, source: str, attack: Attack | UniversalAttack) -> list[str]:
    """Those on which the attack is scored when it is crafted on `source`; each its own where nothing else is said.

    So it is for attacks that ask no network anything, which have no source.
    """
    if not recipe.source_models or attack.access == "none":
        return [model for model in recipe.model_labels if model == source]
    return recipe.model_labels if source in recipe.source_labels else []


def _jobs(source: str, entry: NamedAttack, attack: Attack | UniversalAttack, through: NamedDefense) -> Iterator[Job]:
    """One attack of a recipe, once a seed; an ensemble is the group of its members, each after the one before unless it
    does not need that.
    """
    if not isinstance(attack, Ensemble):
        alone = Job(source=source, attack_name=entry.name, attack=attack, through=through, training=entry.training)
        alone = replace(alone, group=entry.group, seeds=entry.seeds)
        yield from (replace(alone, seed=seed) for seed in range(entry.seeds))
        return
    before = None
    for name, member in attack.members.items():
        whole = f"{entry.name}/{name}"
        job = Job(source=source, attack_name=whole, attack=member, through=through, ensemble=attack, after=before)
        job = replace(job, group=entry.name)
        yield job
        before = None if attack.independent else job
