"""Expectation over more and more draws of a randomized system, until more of them gain nothing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.attack import Access, Attack
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.norms import Norm
from ...core.seeding import Draws
from ...core.strength import strength
from ..momentum import Momentum


@dataclass(frozen=True, kw_only=True)
class MoreDraws(Attack):
    """Rounds of momentum ascent, each from where the last one ended, with twice as many draws per gradient.

    A round takes `steps` steps. The draws go from a share `least` to a share `most` of those that the model takes for
    an expectation, and are at least 2. An image is finished once a round has made it no stronger. For a system that is
    not randomized, or is evaluated only once, nothing can be gained, and the points stay unchanged.
    """

    steps: int = 15
    least: float = 0.0
    most: float = 1.0

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = Momentum.norms

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.least <= self.most <= 1:
            raise ConfigError(f"Expected 0 <= least <= most <= 1, got {self.least} and {self.most}.")
        self._ascent(1)

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        return self.go_on(model, x, y, x, rng=rng)

    def go_on(self, model: Model, x: Tensor, y: Tensor, start: Tensor, *, rng: Draws) -> Tensor:
        best, judges = start.clone(), rng.fork("judges")
        rows = torch.arange(len(x), device=x.device)
        known = strength(model, best, y, targeted=self.targeted, rng=judges)
        for draws in self._ladder(model):
            if not len(rows):
                break
            ends = self._ascent(draws).go_on(model, x[rows], y[rows], best[rows], rng=rng.fork(draws)[rows])
            found = strength(model, ends, y[rows], targeted=self.targeted, rng=judges[rows])
            better = found.beats(known)
            rows, known = rows[better], found.at(better)
            best[rows] = ends[better]
        return best

    def _ladder(self, model: Model) -> Iterator[int]:
        """Yield the number of draws of each round."""
        if not model.randomized:
            return
        draws, last = max(2, math.ceil(self.least * model.draws)), math.ceil(self.most * model.draws)
        while draws < last:
            yield draws
            draws *= 2
        if last >= 2:
            yield last

    def _ascent(self, draws: int) -> Momentum:
        facts = {"eps": self.eps, "norm": self.norm, "targeted": self.targeted}
        return Momentum(**facts, steps=self.steps, step_size=self.eps / 2, begin="strongest", draws=draws)
