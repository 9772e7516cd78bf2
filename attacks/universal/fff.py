"""FFF: Fast Feature Fool (Mopuri, Garg and Babu 2017, https://arxiv.org/abs/1707.05572).

Follows the released code (https://github.com/val-iisc/fast-feature-fool) in what the paper leaves open: when the
perturbation is halved, and when it is validated.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...core.attack import Access
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.registry import register_attack
from ...core.seeding import Draws
from ...core.universal_attack import CraftingData, Prior, UniversalAttack
from ._features import FeatureAscent, mean_magnitude
from ._validation import UNJUDGED, BestSoFar
from .priors import crafting_pool


@register_attack("fff")
@dataclass(frozen=True, kw_only=True)
class FFF(UniversalAttack):
    """Maximise the sum over the feature layers of log(mean absolute activation), with the perturbation as only input.

    It uses Adam; `learning_rate` is in units of eps per step (the released 0.1 on a scale where eps is 10). The
    perturbation is halved after every `halve_every` iterations, so that the search can continue where it is saturated.
    The fooling rate on the substitute images decides about a new best `validate_after` iterations after each halving,
    and the search ends after `patience` validations in a row without one. Defaults are those of the released code.
    """

    learning_rate: float = 0.01
    max_iterations: int = 10_000
    patience: int = 5
    halve_every: int = 300
    validate_after: int = 200

    access: ClassVar[Access] = "features"
    randomized: ClassVar[bool] = True
    priors: ClassVar[tuple[Prior, ...]] = ("none",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("learning_rate", "max_iterations", "patience", "halve_every", "validate_after"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"Expected {name} > 0, got {getattr(self, name)}.")
        if self.validate_after > self.halve_every:
            given = f"{self.validate_after} and {self.halve_every}"
            raise ConfigError(f"Expected validate_after <= halve_every, got {given}.")

    @property
    def validations(self) -> int:
        return math.ceil(self.max_iterations / self.halve_every)

    def search(self, model: Model, data: CraftingData, *, rng: Draws) -> Tensor:
        pool = crafting_pool(self.prior, model, data, rng.fork("pool"))
        ascent = FeatureAscent(
            model,
            pool,
            rng.fork("ascent"),
            eps=self.eps,
            learning_rate=self.learning_rate,
            energy=mean_magnitude,
        )
        data.progress(0, self.max_iterations, UNJUDGED)
        best, done = BestSoFar(model, data.validation), 0
        if state := data.checkpoint.load():
            ascent.restore(state)
            best.restore(state)
            done = int(state["iteration"])
        for iteration in range(done + 1, self.max_iterations + 1):
            ascent.step()
            due = iteration % self.halve_every == self.validate_after % self.halve_every
            if due or iteration == self.max_iterations:
                best.offer(ascent.delta)
            data.progress(iteration, self.max_iterations, best.rate)
            if best.failures == self.patience:
                break
            if iteration % self.halve_every == 0:  # after the validation, which is of the full perturbation
                ascent.halve()
            if due:
                data.checkpoint.save(ascent.state() | best.state())
        return best.delta
