"""Baselines that every attack must beat: noise of the same budget, without access to the model."""

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, random_point
from ..core.registry import register_attack
from ..core.seeding import Draws


@dataclass(frozen=True, kw_only=True)
class _Noise(Attack, ABC):
    access: ClassVar[Access] = "none"
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targeted:
            raise ConfigError("Noise reaches for no class: expected targeted=False, got True.")


@register_attack("uniform-noise")
@dataclass(frozen=True, kw_only=True)
class UniformNoise(_Noise):
    """Uniform noise: a random point of the ball around each image, clipped to [0, 1]."""

    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2", "l1")

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return x + random_point(rng, tuple(x.shape[1:]), self.norm, self.eps)


@register_attack("random-sign")
@dataclass(frozen=True, kw_only=True)
class RandomSign(_Noise):
    """Noise of random signs: every value moves up or down by eps, to a corner of the Linf ball, clipped to [0, 1]."""

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return x + self.eps * rng.signs(x.shape[1:])
