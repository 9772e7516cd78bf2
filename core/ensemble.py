"""Several attacks as one: each goes on where those before it failed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from .attack import Attack
from .model import Model
from .seeding import Draws


@dataclass(frozen=True, kw_only=True)
class Ensemble(Attack, ABC):
    """Attacks under one threat that run one after another, each on the images that still resist."""

    @property
    @abstractmethod
    def members(self) -> Mapping[str, Attack]:
        """The attacks by name, in their order."""

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        x_adv = x.clone()
        for name, member in self.members.items():
            x_adv = attack_survivors(member, model, x, y, x_adv, rng=rng.fork(name))
        return x_adv


def attack_survivors(attack: Attack, model: Model, x: Tensor, y: Tensor, x_adv: Tensor, *, rng: Draws) -> Tensor:
    """`x_adv` where it has changed the prediction `y` already, elsewhere what `attack` makes of `x`."""
    survivors = model.predict(x_adv, rng=rng.fork("survivors")) == y
    if attack.targeted:
        survivors = ~survivors
    if survivors.any():
        x_adv = x_adv.clone()
        x_adv[survivors] = attack(model, x[survivors], y[survivors], rng=rng[survivors])
    return x_adv
