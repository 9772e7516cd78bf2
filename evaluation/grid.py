"""The grid that a recipe spans: jobs that craft, cells that score, each a frozen value whose hash names it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

from ..core.attack import Attack, UniversalAttack
from ..core.defense import Defense
from ..core.ensemble import Ensemble
from ..core.model import Model
from .recipe import Recipe
from .sources import source_hash

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
    """One attack crafted against one model.

    `group` names the attacks of whose best the table has a row, too. `after` is the job whose failures alone this one
    attacks: the member before it in an ensemble.
    """

    model: str
    attack_name: str
    attack: Attack | UniversalAttack
    group: str | None = None
    after: "Job | None" = None

    @property
    def stream(self) -> str:
        """Names the job's random streams. Storage, versions and weights stay out of it: such runs can be compared."""
        return digest(self.model, self.attack_name, asdict(self.attack))

    def key(self, identity: Identity) -> str:
        crafting = {fact: value for fact, value in identity.items() if fact != "draws"}
        before = None if self.after is None else self.after.key(identity)
        return digest(crafting, self.stream, source_hash(type(self.attack)), before)


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

    @property
    def system(self) -> str:
        """Names the defense by its content."""
        source = "" if self.defense is None else source_hash(type(self.defense))
        return digest(self.defense_name, self.defense_parameters, source)

    def key(self, identity: Identity) -> str:
        return digest(self.job.key(identity), self.system, self.knowledge, identity["draws"])


def systems(recipe: Recipe) -> list[tuple[str, Defense | None]]:
    """The defenses of a recipe by name; the bare model comes first, for every other is compared with it."""
    named = [(entry.name, defense) for entry, defense in zip(recipe.defenses, recipe.build_defenses(), strict=True)]
    return [(NO_DEFENSE, None), *named]


def cells(recipe: Recipe, model: str) -> Iterator[tuple[Job, list[Cell]]]:
    """Each job of one model with the cells that score it."""
    for job in jobs(recipe, model):
        yield job, [Cell(job=job, defense_name=name, defense=defense) for name, defense in systems(recipe)]


def jobs(recipe: Recipe, model: str) -> Iterator[Job]:
    """The recipe's attacks; an ensemble is the group of its members, each after the one before."""
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if not isinstance(attack, Ensemble):
            yield Job(model=model, attack_name=entry.name, attack=attack, group=entry.group)
            continue
        before = None
        for name, member in attack.members.items():
            whole = f"{entry.name}/{name}"
            before = Job(model=model, attack_name=whole, attack=member, group=entry.name, after=before)
            yield before


def digest(*parts: Any) -> str:
    """Short hash of anything that JSON can hold; of what it cannot, as a path, the text counts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
