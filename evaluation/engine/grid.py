"""The grid that a recipe spans: jobs that craft, cells that score, each a frozen value whose hash names it."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from ...core.attack import LATER, Attack, UniversalAttack
from ...core.defense import Defense
from ...core.ensemble import Ensemble
from ...core.model import Model
from ...core.registry import NOTHING
from ...core.task import Task
from ..recipe.entries import Knowledge, NamedAttack, Training
from ..recipe.recipe import Recipe
from .lessons import learns
from .sources import net_hash, source_hash

LABEL = 60
"""Letters of a file's name that are for people: with the rest it must fit into what file systems take."""

Identity = dict[str, Any]
"""What one network brings into the numbers of the cells that it has a part in. It is kept in the manifest."""
Identities = Mapping[str, Identity]
"""Those of the networks of a recipe, by name."""
OWN = ""
"""Among the training images that are known by the label of their data: those of a network's own."""
TRAINING = "training"
_NOT_FOR_SCORING = ("eot_draws", "features")
_NOT_FOR_CRAFTING = ("draws", "layers")


def identity(
    recipe: Recipe,
    fingerprint: str,
    model: Model | None,
    behaviour: str = "",
    training: Mapping[str, str] = MappingProxyType({}),
) -> Identity:
    """`model` is None where it could not be loaded; `behaviour` names what it answers to the probes, `training` the
    training images that are seen, by the label of their data. How many samples, and in what batches, does not matter.
    """
    return {
        "data": fingerprint,
        "model_sha": "" if model is None else model.sha,
        "behaviour": behaviour,
        "model_code": "" if model is None else net_hash(model.net),
        "features": [] if model is None else list(model.feature_names),
        "seed": recipe.seed,
        "storage": recipe.storage,
        "draws": recipe.draws,
        "eot_draws": recipe.eot_draws,
        "foolbench": version("foolbench"),
        **({"layers": recipe.layers} if recipe.layers else {}),  # without any, cells are called what they always were
        **({TRAINING: dict(training)} if training else {}),
        **({} if model is None else _task_code(model.task)),
    }


def _task_code(task: Task) -> Identity:
    """That of a stranger's task; foolbench's own are known by its version."""
    own = type(task).__module__.startswith("foolbench.")
    return {} if own else {"task_code": source_hash(type(task))}


def without_training(identity: Identity) -> Identity:
    """What counts where no training images are seen."""
    return {fact: value for fact, value in identity.items() if fact != TRAINING}


def look(name: str, identities: Identities, samples: Sequence[int]) -> str:
    """Names what a network of a run was seen to make of these clean images."""
    return digest(name, without_training(identities[name]), sorted(samples))


def draws_from(attack: Attack | UniversalAttack, training: Training) -> list[str]:
    """The label of the data whose training images an attack sees, if it sees any."""
    if not isinstance(attack, UniversalAttack) or not attack.sees_training_images:
        return []
    return [OWN if training.data is None else training.data.label]


@dataclass(frozen=True, kw_only=True)
class NamedDefense:
    """A defense of a recipe; the bare model is one without a `defense`."""

    name: str = NOTHING
    defense: Defense | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {} if self.defense is None else parameters(self.defense)

    @property
    def digest(self) -> str:
        """Names the defense by its content and code."""
        return digest(self.name, self.parameters, [] if self.defense is None else _sources(self.defense))

    @property
    def learns(self) -> bool:
        """Whether it has to."""
        return learns(self.defense)

    def before(self, identity: Identity) -> str:
        """Names the system of the defense and the network behind it."""
        return digest(without_training(identity), self.digest, *_seen(identity, [OWN] if self.learns else []))


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attack crafted against one network, the `source`.

    `through` is the defense that the attack knows and crafts through; the bare model where it knows none. `group` names
    the attacks of whose best the table has a row, too. `after` is the job whose failures alone this one attacks: the
    member before it in an ensemble. Of `seeds` jobs that differ by chance only, this is the one of number `seed`.
    `training` says which training images it sees, if it sees any.
    """

    source: str
    attack_name: str
    attack: Attack | UniversalAttack
    through: NamedDefense = NamedDefense()
    group: str | None = None
    after: "Job | None" = None
    seed: int = 0
    seeds: int = 1
    training: Training = field(default_factory=Training)

    @property
    def parameters(self) -> dict[str, Any]:
        """All that tells the attack from its namesakes: its own, and its training images where they are unusual."""
        return parameters(self.attack) | self.training.told

    @property
    def stream(self) -> str:
        """Names the job's random streams. What is left out of it can be compared between runs: storage, versions,
        weights, and what the attack knows.
        """
        numbered = [self.seed] if self.seed else []  # the first is what it would be alone
        return digest(self.source, self.attack_name, self.parameters, *numbered)

    @property
    def batch_matters(self) -> bool:
        """Whether its images depend on how many are crafted at once: also where those do that it goes on from."""
        own = isinstance(self.attack, Attack) and self.attack.batch_matters
        return own or (self.after is not None and self.after.batch_matters)

    def key(self, identities: Identities) -> str:
        not_for_crafting = {*_NOT_FOR_CRAFTING, *(() if self.through.defense else ("eot_draws",))}
        known = identities[self.source]
        crafting = {fact: value for fact, value in without_training(known).items() if fact not in not_for_crafting}
        before = None if self.after is None else self.after.key(identities)
        seen = _seen(known, draws_from(self.attack, self.training) + ([OWN] if self.through.learns else []))
        return digest(crafting, self.stream, source_hash(type(self.attack)), before, self.through.digest, *seen)

    def place(self, identities: Identities) -> PurePosixPath:
        """In a run's folder: where its images lie, or the file with its perturbation, named for people as well."""
        if not isinstance(self.attack, UniversalAttack):
            return PurePosixPath("adversarial", self.key(identities))
        words = [
            self.source,
            self.attack_name,
            self.attack.prior,
            *([self.through.name] if self.through.defense else []),
            *([f"seed-{self.seed}"] if self.seeds > 1 else []),
        ]
        label = re.sub(r"[^\w.+-]", "-", "-".join(words))[:LABEL]
        return PurePosixPath("perturbations", f"{label}-{self.key(identities)}.safetensors")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of the grid: a job, scored on one model through one defense."""

    job: Job
    model: str
    defense: NamedDefense

    @property
    def knowledge(self) -> Knowledge:
        return "oblivious" if self.job.through.defense is None else "adaptive"

    @property
    def transfers(self) -> bool:
        """Whether it is scored on another network than the one it is crafted on."""
        return self.job.source != self.model

    @property
    def direct(self) -> bool:
        """Whether it is scored on the very system that it is crafted on."""
        return not self.transfers and self.job.through == self.defense

    @property
    def title(self) -> str:
        """What people call it."""
        source = f"{self.job.source} > " if self.transfers else ""
        seed = f" (seed {self.job.seed})" if self.job.seeds > 1 else ""
        return f"{source}{self.model} x {self.job.attack_name}{seed} x {self.defense.name}, {self.knowledge}"

    def key(self, identities: Identities) -> str:
        known = identities[self.model]
        scoring = {fact: value for fact, value in without_training(known).items() if fact not in _NOT_FOR_SCORING}
        seen = _seen(known, [OWN] if self.defense.learns else [])
        return digest(self.job.key(identities), self.model, scoring, self.defense.digest, self.knowledge, *seen)


def systems(recipe: Recipe) -> list[NamedDefense]:
    """The defenses of a recipe by name; the bare model comes first, for every other is compared with it."""
    named = zip(recipe.defenses, recipe.build_defenses(), strict=True)
    return [NamedDefense(), *(NamedDefense(name=entry.name, defense=defense) for entry, defense in named)]


def jobs(recipe: Recipe, source: str) -> Iterator[tuple[Job, list[Cell]]]:
    """Each job of one network with the cells that score it, model by model.

    What is crafted on the bare network is scored on bare models and, as oblivious, through every defense; what is
    crafted through a defense is scored through that. An attack that asks the model nothing gains nothing from knowing
    one.
    """
    bare, *defended = systems(recipe)
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        knowledge = entry.knowledge or recipe.knowledge
        oblivious = [bare, *defended] if "oblivious" in knowledge else [bare]
        adaptive = defended if "adaptive" in knowledge and attack.access != "none" else []
        models = _models(recipe, source, attack)
        for through, scored in ((bare, oblivious), *((system, [system]) for system in adaptive)):
            for job in _jobs(source, entry, attack, through) if models else ():
                yield job, [Cell(job=job, model=model, defense=system) for model in models for system in scored]


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
        job = Job(source=source, attack_name=whole, attack=member, through=through, group=entry.name, after=before)
        yield job
        before = None if attack.independent else job


def _seen(identity: Identity, labels: Sequence[str]) -> list[tuple[str, str]]:
    """The training images of these data, as far as they are known: by the code of a data set they are known anyway."""
    known = identity.get(TRAINING, {})
    return [(label, known[label]) for label in labels if label in known]


def parameters(configuration: Any) -> dict[str, Any]:
    """The fields of an attack or a defense, by name; one that lies in a field stays whole, and its repr names it.

    Without those that came `LATER` and are as if they had not.
    """
    found = {one: getattr(configuration, one.name) for one in fields(configuration)}
    return {one.name: value for one, value in found.items() if LATER not in one.metadata or value != one.default}


def _sources(defense: Defense) -> list[str]:
    """Hashes of its code, and of the code of the defenses in its fields."""
    found = [source_hash(type(defense))]
    for value in parameters(defense).values():
        for part in value if isinstance(value, tuple) else (value,):
            found += _sources(part) if isinstance(part, Defense) else []
    return found


def digest(*parts: Any) -> str:
    """Short hash of anything that JSON can hold; of what it cannot, as a path, the text counts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
