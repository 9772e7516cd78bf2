"""The grid that a recipe spans: jobs that craft, cells that score, each a frozen value whose hash names it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

from ..core.attack import Attack, UniversalAttack
from ..core.defense import Defense
from .recipe import Recipe

NO_DEFENSE = "none"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attack crafted against one model."""

    model: str
    attack_name: str
    attack: Attack | UniversalAttack

    def key(self, context: dict[str, Any]) -> str:
        return _digest(context, self.model, self.attack_name, asdict(self.attack))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of the grid: a job, scored through one defense. `defense` is None for the bare model."""

    job: Job
    defense_name: str
    defense: Defense | None
    knowledge: Literal["oblivious"] = "oblivious"

    @property
    def defense_parameters(self) -> dict[str, Any]:
        return {} if self.defense is None else asdict(self.defense)

    def key(self, context: dict[str, Any]) -> str:
        return _digest(self.job.key(context), self.defense_name, self.defense_parameters, self.knowledge)


def systems(recipe: Recipe) -> list[tuple[str, Defense | None]]:
    """The defenses of a recipe by name; the bare model comes first, for every other is compared with it."""
    named = [(entry.name, defense) for entry, defense in zip(recipe.defenses, recipe.build_defenses(), strict=True)]
    return [(NO_DEFENSE, None), *named]


def cells(recipe: Recipe, model: str) -> Iterator[tuple[Job, list[Cell]]]:
    """Each job of one model with the cells that score it."""
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        job = Job(model=model, attack_name=entry.name, attack=attack)
        yield job, [Cell(job=job, defense_name=name, defense=defense) for name, defense in systems(recipe)]


def context(recipe: Recipe, fingerprint: str, model_sha: str) -> dict[str, Any]:
    """What decides the numbers of a cell beside the cell itself. Sample count and batch size do not."""
    return {
        "data": fingerprint,
        "model_sha": model_sha,
        "seed": recipe.seed,
        "draws": recipe.draws,
        "storage": recipe.storage,
        "foolbench": version("foolbench"),
    }


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
