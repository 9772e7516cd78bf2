"""Image attacks that see only a model's outputs, and count their queries of each image."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .attack import Attack
from .errors import BudgetError, ConfigError
from .model import Model
from .seeding import Draws


class Searched(NamedTuple):
    """Adversarial images (N, C, H, W), and the number of `queries` after which each search ended, int64 (N,)."""

    x_adv: Tensor
    queries: Tensor


@dataclass(frozen=True, kw_only=True)
class QueryAttack(Attack, ABC):
    """An image attack that counts its queries. Subclasses implement `search`, which ends for an image that is fooled.

    `queries` is the largest number of points that it may evaluate per image. An evaluation of the clean image is no
    query: an attacker knows its class. A point on a randomized system is one query, over however many of its
    evaluations the attack averages.
    """

    queries: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries < 1:
            raise ConfigError(f"Expected queries >= 1, got {self.queries}.")

    @property
    def stops_at_boundary(self) -> bool:
        return True

    @abstractmethod
    def search(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Searched:
        """Return adversarial images and their queries for checked inputs, as `perturb` gets them.

        An image's queries end with the one that fooled it; of an image that nothing fools they are all that were spent.
        """

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return self.search(model, x, y, rng=rng).x_adv

    def counted(
        self, model: Model, x: Tensor, y: Tensor | None = None, *, rng: Draws | torch.Generator | int | None = None
    ) -> Searched:
        """Return the result of a call, with each image's queries. Raises likewise, and BudgetError for too many."""
        own, y, draws = self._prepared(model, x, y, rng)
        with torch.inference_mode(False), torch.enable_grad():
            found = self.search(model, own, y, rng=draws)
        asked = found.queries
        if asked.shape != (len(x),) or asked.dtype != torch.int64 or not ((asked >= 0) & (asked <= self.queries)).all():
            raise BudgetError(
                f"Expected {self!r} to count from 0 to {self.queries} queries of each of {len(x)} images, got "
                f"{asked.dtype} {tuple(asked.shape)}{f', at most {int(asked.max())}' if asked.numel() else ''}."
            )
        return Searched(self._enforced(found.x_adv, x), asked)
