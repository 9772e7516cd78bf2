"""Defenses: from a model to a defended model, which is a model again."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .images import check_images
from .model import Model
from .seeding import Draws, as_draws


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

    def __call__(self, x: Tensor, *, rng: Draws | torch.Generator | int | None = None) -> Tensor:
        """`transform` on checked images; `rng` as for an attack. Raises InputError for anything but images."""
        check_images(x)
        return self.transform(x, rng=as_draws(rng, len(x), x.device))

    def defend(self, model: Model) -> Model:
        return model.behind(self)
