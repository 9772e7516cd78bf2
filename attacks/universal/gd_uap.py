"""GD-UAP: generalizable data-free universal perturbations (Mopuri et al. 2018, https://arxiv.org/abs/1801.08092).

Follows the released code (https://github.com/val-iisc/GD-UAP) where the paper's algorithm box differs from it: the
norms of a layer are pooled over the batch before the logarithm, and the search stops after `patience` consecutive
validations without a new best (the box, read literally, stops at the first improvement).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from ...core.attack import Access, CraftingData, UniversalAttack
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.registry import register_attack
from ...core.seeding import Draws
from ._validation import BestSoFar
from .priors import crafting_pool


@register_attack("gd-uap")
@dataclass(frozen=True, kw_only=True)
class GDUAP(UniversalAttack):
    """Maximise the sum over the feature layers of log(half the squared norm of the layer's activations).

    Adam on the perturbation alone; `learning_rate` is in units of eps per step (the paper's 0.1 on a scale where eps is
    10). When more than half of the entries sit at the bound and their number has come to rest, the perturbation is
    halved, so that the search can go on. The fooling rate on the substitute images decides about a new best
    `validate_every` iterations after the last time it did, or at a halving more than `settle` iterations after it. (The
    released code counts from the last halving as well, so that frequent halvings keep it from ever validating.)

    The defaults are the paper's, made for tens of thousands of iterations. With hundreds, `learning_rate=0.1` fools
    more; leaderboards/README.md has the measurement.
    """

    batch_size: int = 25
    learning_rate: float = 0.01
    max_iterations: int = 40_000
    patience: int = 10
    validate_every: int = 400
    settle: int = 200
    saturation: float = 0.5
    saturation_change: float = 1e-5

    access: ClassVar[Access] = "features"
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_size", "learning_rate", "max_iterations", "patience", "validate_every"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"Expected {name} > 0, got {getattr(self, name)}.")

    def search(self, model: Model, data: CraftingData, *, rng: Draws) -> Tensor:
        pool = crafting_pool(self.prior, model, data, rng.fork("pool"))
        ascent = FeatureAscent(model, pool, self, rng.fork("ascent"))
        best = BestSoFar(model, data.validation)
        still = max(1, int(self.saturation_change * ascent.delta.numel()))  # entries that may yet change at rest
        last_validation, saturated = 0, 0

        for iteration in range(1, self.max_iterations + 1):
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
            if rescale:  # after the validation, which judges the perturbation at full size
                saturated = 0
                ascent.halve()
        return best.delta


class FeatureAscent:
    """Adam on one perturbation, up the sum over layers of log(half the squared norm of the batch's activations)."""

    def __init__(self, model: Model, pool: Tensor, attack: GDUAP, rng: Draws) -> None:
        self._model, self._pool, self._batch_size = model, pool, attack.batch_size
        self._rows = rng.fork("batches")
        start = rng.fork("start").uniform(pool.shape[1:], -attack.eps, attack.eps)[0]
        self.delta = start.requires_grad_()
        self._bound = torch.tensor(attack.eps, dtype=start.dtype, device=start.device)  # eps as float32 has it
        self._adam = torch.optim.Adam([self.delta], lr=attack.learning_rate * attack.eps)

    def step(self) -> None:
        self.delta.grad = self._descent_direction()
        self._adam.step()
        with torch.no_grad():
            self.delta.clamp_(-self._bound, self._bound)

    def saturated(self) -> int:
        """Number of entries at the bound."""
        return int((self.delta.detach().abs() == self._bound).sum())

    def halve(self) -> None:
        with torch.no_grad():
            self.delta.div_(2)

    def _descent_direction(self) -> Tensor:
        features = self._model.features(self._batch() + self.delta)
        energies = torch.stack([_half_squared_norm(activations) for activations in features])
        loss = -energies.clamp_min(1e-30).log().sum()  # a dead layer has no energy, and no say
        return torch.autograd.grad(loss, self.delta)[0]

    def _batch(self) -> Tensor:
        if len(self._pool) == 1:
            return self._pool  # repeating one image would only shift the objective
        return self._pool[self._rows.integers(len(self._pool), (self._batch_size,))[0]]


class _HalfSquaredNorm(torch.autograd.Function):
    """One pass over the data forward and one back: autograd's own chain of square and sum needs three times that."""

    @staticmethod
    def forward(ctx: Any, activations: Tensor) -> Tensor:
        ctx.save_for_backward(activations)
        return 0.5 * torch.linalg.vector_norm(activations).square()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return ctx.saved_tensors[0] * gradients[0]


def _half_squared_norm(activations: Tensor) -> Tensor:
    return cast(Tensor, _HalfSquaredNorm.apply(activations))
