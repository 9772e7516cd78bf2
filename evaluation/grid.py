"""The grid that a recipe spans: jobs that craft, cells that score, each a frozen value whose hash names it."""

import hashlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from ..core.attack import Attack, UniversalAttack
from ..core.defense import Defense
from ..core.model import Model
from .recipe import Recipe

NO_DEFENSE = "none"

Identity = dict[str, Any]
"""What decides the numbers of all cells of one model, beside the cells themselves. It is kept in the manifest."""


def identity(recipe: Recipe, fingerprint: str, model: Model | None) -> Identity:
    """`model` is None where it could not be loaded. How many samples, and in what batches, does not matter."""
    return {
        "data": fingerprint,
        "model_sha": "" if model is None else model.sha,
        "features": [] if model is None else list(model.feature_names),
        "seed": recipe.seed,
        "storage": recipe.storage,
        "draws": recipe.draws,
        "foolbench": version("foolbench"),
    }


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attack crafted against one model."""

    model: str
    attack_name: str
    attack: Attack | UniversalAttack

    @property
    def stream(self) -> str:
        """Names the job's random streams. Storage, versions and weights stay out of it: such runs can be compared."""
        return digest(self.model, self.attack_name, asdict(self.attack))

    def key(self, identity: Identity) -> str:
        crafting = {fact: value for fact, value in identity.items() if fact != "draws"}
        return digest(crafting, self.stream, _source(self.attack))


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

    def key(self, identity: Identity) -> str:
        defense = [self.defense_name, self.defense_parameters, _source(self.defense)]
        return digest(self.job.key(identity), defense, self.knowledge, identity["draws"])


def systems(recipe: Recipe) -> list[tuple[str, Defense | None]]:
    """The defenses of a recipe by name; the bare model comes first, for every other is compared with it."""
    named = [(entry.name, defense) for entry, defense in zip(recipe.defenses, recipe.build_defenses(), strict=True)]
    return [(NO_DEFENSE, None), *named]


def cells(recipe: Recipe, model: str) -> Iterator[tuple[Job, list[Cell]]]:
    """Each job of one model with the cells that score it."""
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        job = Job(model=model, attack_name=entry.name, attack=attack)
        yield job, [Cell(job=job, defense_name=name, defense=defense) for name, defense in systems(recipe)]


def digest(*parts: Any) -> str:
    """Short hash of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _source(plugged: object) -> str:
    """Hash of the file that defines an attack or a defense: an edited one is another one."""
    if plugged is None:
        return ""
    return hashlib.sha256(Path(inspect.getfile(type(plugged))).read_bytes()).hexdigest()[:16]
