"""Several attacks as one: each continues where those before it failed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .attack import Attack
from .errors import ConfigError
from .model import Model
from .seeding import Draws
from .strength import strength
from .task import Task


@dataclass(frozen=True, kw_only=True)
class Ensemble(Attack, ABC):
    """Member attacks under one threat that run one after another, each on the images that still resist.

    A member continues from the strongest points so far, and replaces those that its own points beat. In a table this
    happens on the attacked system; if members are `independent`, each of them attacks every image there, and which one
    counts for an image is decided metric by metric.
    """

    independent: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.members:  # making the members also checks their parameters
            raise ConfigError(f"Expected {type(self).__name__} to have members, got none.")
        for name, member in self.members.items():
            if member.threat != self.threat:
                raise ConfigError(f"Expected {type(self).__name__}/{name} under {self.threat}, got {member.threat}.")

    @property
    @abstractmethod
    def members(self) -> Mapping[str, Attack]:
        """The member attacks by name, in the order in which they run."""

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (what its members are)
        return any(member.randomized for member in self.members.values())

    @property
    def batch_matters(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(member.batch_matters for member in self.members.values())

    @property
    def stops_at_boundary(self) -> bool:
        return any(member.stops_at_boundary for member in self.members.values())

    def check_task(self, task: Task) -> None:
        for member in self.members.values():
            member.check_task(task)

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        x_adv = x.clone()
        for name, member in self.members.items():
            x_adv = attack_survivors(member, model, x, y, x_adv, rng=rng.fork(name))
        return x_adv


def attack_survivors(attack: Attack, model: Model, x: Tensor, y: Tensor, x_adv: Tensor, *, rng: Draws) -> Tensor:
    """Return for each image of `x` the stronger of `x_adv` and the result of `attack`, which continues from it.

    Images whose `x_adv` reaches the attack's goal already are left alone; behind a randomized system, only those where
    it does so in every evaluation. Strength is judged with fresh random streams.
    """
    fresh = rng.fork("survivors")
    before = strength(model, x_adv, y, targeted=attack.targeted, rng=fresh)
    rows = (before.reached < 1).nonzero()[:, 0]
    if not len(rows):
        return x_adv
    found = attack(model, x[rows], y[rows], rng=rng[rows], start=x_adv[rows])
    if torch.equal(found, x_adv[rows]):
        return x_adv
    better = strength(model, found, y[rows], targeted=attack.targeted, rng=fresh[rows]).beats(before.at(rows))
    x_adv = x_adv.clone()
    x_adv[rows[better]] = found[better]
    return x_adv
