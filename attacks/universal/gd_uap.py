"""GD-UAP: generalizable data-free universal perturbations (Mopuri et al. 2018, https://arxiv.org/abs/1801.08092).

Follows the released code (https://github.com/val-iisc/GD-UAP) where the paper's algorithm box differs from it: the
norms of a layer are pooled over the batch before the logarithm, and the search stops after `patience` consecutive
validations without a new best (the box, read literally, stops at the first improvement).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.attack import Access
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.registry import register_attack
from ...core.seeding import Draws
from ...core.universal_attack import CraftingData, Prior, UniversalAttack
from ._features import Energy, FeatureAscent, half_squared_norm
from ._validation import UNJUDGED, BestSoFar
from .priors import crafting_pool


@register_attack("gd-uap")
@dataclass(frozen=True, kw_only=True)
class GDUAP(UniversalAttack):
    """Maximise the sum over the feature layers of log(half the squared norm of the layer's activations).

    It uses Adam on the perturbation alone; `learning_rate` is in units of eps per step (the paper's 0.1 on a scale
    where eps is 10). When more than a share `saturation` of the entries are at the bound and their number changes by at
    most a share `saturation_change`, the perturbation is halved, so that the search can continue. The fooling rate on
    the substitute images decides about a new best `validate_every` iterations after the last validation, or at a
    halving more than `settle` iterations after it; `patience` validations in a row without one end the search. (The
    released code counts from the last halving as well, so that frequent halvings keep it from ever validating.)

    For maps, `prior = "less-background"` is the data prior with the quarter of the training images that show the least
    background (section 4.2 has those of VOC of which it is less than half: 27%).

    The defaults are the paper's, made for tens of thousands of iterations. With hundreds, `learning_rate=0.1` fools
    more.
    """

    batch_size: int = 25
    learning_rate: float = 0.01
    max_iterations: int = 40_000
    patience: int = 10
    validate_every: int = 400
    settle: int = 200
    saturation: float = 0.5
    saturation_change: float = 1e-5

    energy: ClassVar[Energy] = staticmethod(half_squared_norm)

    access: ClassVar[Access] = "features"
    randomized: ClassVar[bool] = True
    priors: ClassVar[Sequence[Prior]] = (*UniversalAttack.priors, "less-background")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_size", "learning_rate", "max_iterations", "patience", "validate_every"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"Expected {name} > 0, got {getattr(self, name)}.")
        if not (self.settle >= 0 and 0 <= self.saturation <= 1 and self.saturation_change >= 0):
            given = f"{self.settle}, {self.saturation} and {self.saturation_change}"
            raise ConfigError(f"Expected settle >= 0, saturation in [0, 1] and saturation_change >= 0, got {given}.")

    @property
    def validations(self) -> int:
        return math.ceil(self.max_iterations / self.validate_every)

    def search(self, model: Model, data: CraftingData, *, rng: Draws) -> Tensor:
        pool = crafting_pool(self.prior, model, data, rng.fork("pool"))
        ascent = FeatureAscent(
            model,
            pool,
            rng.fork("ascent"),
            eps=self.eps,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            energy=self.energy,
        )
        data.progress(0, self.max_iterations, UNJUDGED)
        best = BestSoFar(model, data.validation)
        still = max(1, int(self.saturation_change * ascent.delta.numel()))  # entries that may still change at rest
        last_validation, saturated = 0, 0
        if state := data.checkpoint.load():
            ascent.restore(state)
            best.restore(state)
            last_validation, saturated = int(state["iteration"]), int(state["saturated"])

        for iteration in range(last_validation + 1, self.max_iterations + 1):
            ascent.step()
            before, saturated = saturated, ascent.saturated()
            rescale = saturated > self.saturation * ascent.delta.numel() and abs(saturated - before) <= still
            since = iteration - last_validation
            if (rescale and since > self.settle) or since >= self.validate_every or iteration == self.max_iterations:
                last_validation = iteration
                best.offer(ascent.delta)
            data.progress(iteration, self.max_iterations, best.rate)
            if best.failures == self.patience:
                break
            if rescale:  # after the validation, which is of the full perturbation
                saturated = 0
                ascent.halve()
            if iteration == last_validation:
                data.checkpoint.save(ascent.state() | best.state() | {"saturated": torch.tensor(saturated)})
        return best.delta
