"""The grid that a recipe spans: jobs that craft, and cells that score what they have crafted."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import TypeVar

from ...core.attack import Attack
from ...core.ensemble import Ensemble
from ...core.errors import ConfigError
from ...core.universal_attack import UniversalAttack
from ..recipe.entries import Knowledge, NamedAttack
from ..recipe.recipe import Recipe
from .cells import Cell, Job
from .defenses import NamedDefense, systems
from .identity import Identities

T = TypeVar("T")
JobCells = tuple[Job, list[Cell]]
"""A job, and the cells that score what it crafts."""


@dataclass(frozen=True)
class Grid:
    """All jobs, cells and defenses of a recipe, by the names that they have for networks with these `identities`.

    The name of a job or a cell is its key, a hash of all that decides its numbers; that of a defense is its digest.
    """

    recipe: Recipe
    identities: Identities

    @cached_property
    def rows(self) -> list[JobCells]:
        """Each job with its cells, ordered by source network."""
        return list(spanned(self.recipe))

    def cells_of(self, model: str) -> list[Cell]:
        """Return the cells that score a model, whichever network they are crafted on."""
        return [cell for _, row in self.rows for cell in row if cell.model == model]

    def key(self, point: Job | Cell) -> str:
        """Return the key of a job or a cell."""
        return point.key(self.identities)

    def place(self, job: Job) -> PurePosixPath:
        """Return the path, below the folder of a run, of what a job crafts."""
        return job.place(self.identities)

    @cached_property
    def cells(self) -> Mapping[str, Cell]:
        """The cells by key. An unknown key raises ConfigError."""
        return _Known({self.key(cell): cell for _, row in self.rows for cell in row})

    @cached_property
    def jobs(self) -> Mapping[str, Job]:
        """The jobs by key. An unknown key raises ConfigError."""
        return _Known({self.key(job): job for job, _ in self.rows})

    @cached_property
    def defenses(self) -> Mapping[str, NamedDefense]:
        """The defenses by digest. An unknown digest raises ConfigError."""
        return _Known({named.digest: named for named in systems(self.recipe)})

    def check(self, cells: Iterable[str]) -> None:
        """Raise ConfigError unless all of these are keys of cells."""
        for key in cells:
            self.cells[key]


class _Known(dict[str, T]):
    def __missing__(self, key: str) -> T:
        raise ConfigError(f"Nothing of this recipe is called {key} here: every machine needs the same code.")


def spanned(recipe: Recipe) -> Iterator[JobCells]:
    """Yield each job with the cells that score it, ordered by source network.

    Attacks on the bare network are scored on bare models and, as oblivious, through every defense. Attacks through a
    defense are scored through it, as adaptive, and on all other systems, as crossed. An attack without access to the
    model is crafted on the bare network only, since knowing a defense would change nothing.
    """
    every = systems(recipe)
    attacks = list(zip(recipe.attacks, recipe.build_attacks(), strict=True))
    for source in recipe.networks:
        for entry, attack in attacks:
            yield from _spanned(recipe, source, entry, attack, every)


def _spanned(
    recipe: Recipe, source: str, entry: NamedAttack, attack: Attack | UniversalAttack, every: list[NamedDefense]
) -> Iterator[JobCells]:
    """Yield the jobs of one attack on one network, with their cells."""
    knowledge = entry.knowledge or recipe.knowledge
    models = _models(recipe, source, attack)
    for through in every[:1] if attack.access == "none" else every:
        scored = [system for system in every if _is_scored(through, system, knowledge)]
        for job in _jobs(source, entry, attack, through) if models and scored else ():
            yield job, [Cell(job=job, model=model, defense=system) for model in models for system in scored]


def _is_scored(through: NamedDefense, system: NamedDefense, knowledge: Collection[Knowledge]) -> bool:
    """Return whether attacks through one defense are scored on a system; those on the bare model always are on it."""
    if through == system:
        return through.defense is None or "adaptive" in knowledge
    return ("oblivious" if through.defense is None else "crossed") in knowledge


def _models(recipe: Recipe, source: str, attack: Attack | UniversalAttack) -> list[str]:
    """Return the models on which an attack that is crafted on `source` is scored.

    Without source models in the recipe each model is its own source; so it is for attacks without access to a model.
    """
    if not recipe.source_models or attack.access == "none":
        return [model for model in recipe.model_labels if model == source]
    return recipe.model_labels if source in recipe.source_labels else []


def _jobs(source: str, entry: NamedAttack, attack: Attack | UniversalAttack, through: NamedDefense) -> Iterator[Job]:
    """Yield the jobs of one attack: one per seed or, for an ensemble, one per member.

    Each member continues after the one before it, unless the ensemble's members are independent.
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
