"""The points of a grid: jobs that craft, cells that score, each a frozen value whose hash names it."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ...core.attack import Attack
from ...core.ensemble import Ensemble
from ...core.universal_attack import UniversalAttack
from ..recipe.entries import Knowledge, Training
from .defenses import NamedDefense
from .digest import digest
from .identity import OWN, Identities, seen_training, without_training
from .named_files import named_files
from .parameters import parameters
from .sources import source_hash

LABEL = 60
"""The most characters of a file name's readable part: the whole name must not be too long for file systems."""
_NOT_FOR_SCORING = ("eot_draws", "features")
_NOT_FOR_CRAFTING = ("draws", "layers")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attack that is crafted on one network, the `source`.

    `through` is the defense that the attack knows and crafts through, or the bare model if it knows none. `group` names
    attacks whose worst case has a row of its own, as the members of an `ensemble` do. `after` is the previous member of
    the ensemble: this job attacks only the images on which that failed. Of `seeds` jobs that differ in their random
    streams alone, this is the one with number `seed`. `training` says which training images it uses, if any.
    """

    source: str
    attack_name: str
    attack: Attack | UniversalAttack
    through: NamedDefense = field(default_factory=NamedDefense)
    group: str | None = None
    ensemble: Ensemble | None = None
    after: "Job | None" = None
    seed: int = 0
    seeds: int = 1
    training: Training = field(default_factory=Training)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that tell the attack from its namesakes, with its training images if not the default ones."""
        return parameters(self.attack) | self.training.told

    @property
    def stream(self) -> str:
        """The name of the job's random streams.

        It leaves out storage, versions, weights and the attack's knowledge, so that runs which differ in these can be
        compared under the same draws.
        """
        numbered = [self.seed] if self.seed else []  # number 0 has the streams of an attack without seeds
        return digest(self.source, self.attack_name, self.parameters, *numbered)

    @property
    def batch_matters(self) -> bool:
        """Whether its images depend on how many are crafted at once, or those do that it continues from."""
        own = isinstance(self.attack, Attack) and self.attack.batch_matters
        return own or (self.after is not None and self.after.batch_matters)

    def key(self, identities: Identities) -> str:
        """Return a hash of all that decides what the job crafts, given the identities of the networks by name."""
        not_for_crafting = {*_NOT_FOR_CRAFTING, *(() if self.through.defense else ("eot_draws",))}
        known = identities[self.source]
        crafting = {fact: value for fact, value in without_training(known).items() if fact not in not_for_crafting}
        before = None if self.after is None else self.after.key(identities)
        seen = seen_training(known, draws_from(self.attack, self.training) + ([OWN] if self.through.learns else []))
        made_of = [source_hash(type(self.attack)), before, self.through.digest, *seen, *named_files(self.attack)]
        return digest(crafting, self.stream, *made_of)

    def place(self, identities: Identities) -> PurePosixPath:
        """Return the path, below a run's folder, of its images, or of the file with its universal perturbation.

        The name of that file is readable as well.
        """
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
        if self.job.through.defense is None:
            return "oblivious"
        return "adaptive" if self.job.through == self.defense else "crossed"

    @property
    def transfers(self) -> bool:
        """Whether the attack is scored on another network than the one it is crafted on."""
        return self.job.source != self.model

    @property
    def direct(self) -> bool:
        """Whether the attack is scored on the same system, network and defense, that it is crafted on."""
        return not self.transfers and self.job.through == self.defense

    @property
    def title(self) -> str:
        """The name of the cell for people, as messages and the progress display show it."""
        source = f"{self.job.source} > " if self.transfers else ""
        seed = f" (seed {self.job.seed})" if self.job.seeds > 1 else ""
        known = f"crossed from {self.job.through.name}" if self.knowledge == "crossed" else self.knowledge
        return f"{source}{self.model} x {self.job.attack_name}{seed} x {self.defense.name}, {known}"

    def key(self, identities: Identities) -> str:
        """Return a hash of all that decides the cell's scores, given the identities of the networks by name."""
        known = identities[self.model]
        scoring = {fact: value for fact, value in without_training(known).items() if fact not in _NOT_FOR_SCORING}
        seen = seen_training(known, [OWN] if self.defense.learns else [])
        return digest(self.job.key(identities), self.model, scoring, self.defense.digest, self.knowledge, *seen)


def draws_from(attack: Attack | UniversalAttack, training: Training) -> list[str]:
    """Return the label of the data set whose training images an attack uses; an empty list if it uses none."""
    if not isinstance(attack, UniversalAttack) or not attack.sees_training_images:
        return []
    return [OWN if training.data is None else training.data.label]
