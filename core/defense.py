"""Defenses: from a model to a defended model, which is a model again."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .errors import ConfigError
from .images import check_images
from .model import Model
from .seeding import Draws


@dataclass(frozen=True, kw_only=True)
class Defense(ABC):
    """A frozen configuration whose repr is its identity.

    `differentiable`: gradients through the defended model are those of its forward pass. `randomized`: two evaluations
    of one image may differ; the randomness comes from the streams of `rng` only.
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]

    @abstractmethod
    def defend(self, model: Model) -> Model:
        """The defended system. `model` itself stays as it is."""


@dataclass(frozen=True, kw_only=True)
class InputTransform(Defense):
    """The common kind: images are transformed before the model sees them."""

    @abstractmethod
    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to images in [0, 1], on the same device; `rng` holds one stream per image."""

    def __call__(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """`transform` on checked images. Raises InputError for others, ConfigError for randomness without rng."""
        check_images(x)
        return self.transform(x, rng=_streams(self.randomized, rng, x, repr(self)))

    def defend(self, model: Model) -> Model:
        return TransformedModel(model, self)


class TransformedModel(Model):
    """`base` behind an input transform."""

    def __init__(self, base: Model, transform: InputTransform) -> None:  # shares the base's network: nothing to copy
        self.base = base
        self.input_transform = transform
        self.net = base.net
        self.task = base.task
        self.shape = base.shape
        self.name = f"{base.name} behind {transform!r}"
        self.passes = base.passes
        self.feature_names = base.feature_names
        self.mean, self.std = base.mean, base.std
        self.randomized = transform.randomized or base.randomized

    @property
    def sha(self) -> str:
        return f"{self.base.sha}:{self.input_transform!r}"

    def logits(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        return self.base.logits(self._transformed(x, rng), rng=rng)

    def features(self, x: Tensor, *, rng: Draws | None = None) -> list[Tensor]:
        return self.base.features(self._transformed(x, rng), rng=rng)

    def _transformed(self, x: Tensor, rng: Draws | None) -> Tensor:
        draws = _streams(self.randomized, rng, x, self.name)
        return self.input_transform.transform(x, rng=draws.fork(repr(self.input_transform)))


def _streams(randomized: bool, rng: Draws | None, x: Tensor, what: str) -> Draws:
    if rng is not None:
        return rng
    if randomized:
        raise ConfigError(f"{what} is randomized: give rng=Draws.of(seed, samples=...), one stream per image.")
    return Draws(torch.zeros(len(x), dtype=torch.int64, device=x.device))
