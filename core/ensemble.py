"""Several attacks as one: each goes on where those before it failed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from .attack import Attack
from .errors import ConfigError
from .model import Model
from .seeding import Draws


@dataclass(frozen=True, kw_only=True)
class Ensemble(Attack, ABC):
    """Attacks under one threat that run one after another, each on the images that still resist."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.members:  # making them refuses what one of them refuses
            raise ConfigError(f"Expected {type(self).__name__} to have members, got none.")
        for name, member in self.members.items():
            if member.threat != self.threat:
                raise ConfigError(f"Expected {type(self).__name__}/{name} under {self.threat}, got {member.threat}.")

    @property
    @abstractmethod
    def members(self) -> Mapping[str, Attack]:
        """The attacks by name, in their order."""

    @property
    def stops_at_boundary(self) -> bool:
        return any(member.stops_at_boundary for member in self.members.values())

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        x_adv = x.clone()
        for name, member in self.members.items():
            x_adv = attack_survivors(member, model, x, y, x_adv, rng=rng.fork(name))
        return x_adv


def attack_survivors(attack: Attack, model: Model, x: Tensor, y: Tensor, x_adv: Tensor, *, rng: Draws) -> Tensor:
    """`x_adv` where it has changed the prediction `y` already, elsewhere what `attack` makes of `x`."""
    survivors = (model.judge(x_adv, rng=rng.fork("survivors")) == y) != attack.targeted
    if survivors.any():
        x_adv = x_adv.clone()
        x_adv[survivors] = attack(model, x[survivors], y[survivors], rng=rng[survivors])
    return x_adv
