"""An image attack that knows only answers, and counts for each image how often it has asked."""

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
    """Adversarial images (N, C, H, W), and after how many `queries`, int64 (N,), the search was done with each."""

    x_adv: Tensor
    queries: Tensor


@dataclass(frozen=True, kw_only=True)
class QueryAttack(Attack, ABC):
    """Subclasses implement `search`, which rests with an image as soon as it is fooled.

    `queries` is the largest number of points that it may ask about for each image. An evaluation of the image as it
    comes is no query: whoever attacks knows its class. A point of a randomized system is one query, over however many
    of its evaluations the attack averages.
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
        """The attack itself, on checked inputs, as `perturb`.

        An image's queries end with the one that fooled it; of an image that nothing fools they are all that were spent.
        """

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return self.search(model, x, y, rng=rng).x_adv

    def counted(
        self, model: Model, x: Tensor, y: Tensor | None = None, *, rng: Draws | torch.Generator | int | None = None
    ) -> Searched:
        """What a call gives, with the queries of each image. Raises as a call does, and BudgetError for too many."""
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
