"""GD-UAP: generalizable data-free universal perturbations (Mopuri et al. 2018, https://arxiv.org/abs/1801.08092).

Follows the released code (https://github.com/val-iisc/GD-UAP) where the paper's algorithm box differs from it: the
norms of a layer are pooled over the batch before the logarithm, and the search stops after `patience` consecutive
validations without a new best (the box, read literally, stops at the first improvement).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.attack import Access, CraftingData, UniversalAttack
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.registry import register_attack
from ...core.seeding import Draws
from ._validation import FoolingRate
from .priors import crafting_pool


@register_attack("gd-uap")
@dataclass(frozen=True, kw_only=True)
class GDUAP(UniversalAttack):
    """Maximise the sum over the feature layers of log(half the squared norm of the layer's activations).

    Adam on the perturbation alone; `learning_rate` is in units of eps per step (the paper's 0.1 on a scale where eps is
    10). When more than half of the entries sit at the bound and their number has come to rest, the perturbation is
    halved, so that the search can go on. Every `validate_every` iterations without a halving, or at a halving with more
    than `settle` iterations since the last event, the fooling rate on the substitute images decides about a new best.
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
        fooling_rate = FoolingRate(model, data.validation)
        shape = tuple(data.validation.shape[1:])
        delta = rng.fork("start").uniform(shape, -self.eps, self.eps)[0].requires_grad_()
        bound = torch.tensor(self.eps, dtype=delta.dtype, device=delta.device)  # eps as the clamp stores it
        rest = max(1, int(self.saturation_change * delta.numel()))  # entries that may still change at rest
        adam = torch.optim.Adam([delta], lr=self.learning_rate * self.eps)
        rows = rng.fork("batches")
        best, best_rate, failures, last_event, saturated = delta.detach().clone(), -1.0, 0, 0, 0

        for iteration in range(1, self.max_iterations + 1):
            batch = pool[rows.integers(len(pool), (self.batch_size,))[0]] if len(pool) > 1 else pool
            delta.grad = feature_gradient(model, batch, delta)
            adam.step()
            with torch.no_grad():
                delta.clamp_(-bound, bound)

            before, saturated = saturated, int((delta.detach().abs() == bound).sum())
            full = saturated > self.saturation * delta.numel()
            rescale = full and abs(saturated - before) <= rest
            since = iteration - last_event
            if (rescale and since > self.settle) or since >= self.validate_every or iteration == self.max_iterations:
                rate, last_event = fooling_rate(delta), iteration
                failures = 0 if rate > best_rate else failures + 1
                if rate > best_rate:
                    best, best_rate = delta.detach().clone(), rate
                data.progress(iteration, self.max_iterations, best_rate)
                if failures == self.patience:
                    break
            if rescale:  # after the validation, which judges the perturbation at full size
                with torch.no_grad():
                    delta.div_(2)
                last_event, saturated = iteration, 0
        return best


def feature_gradient(model: Model, batch: Tensor, delta: Tensor) -> Tensor:
    """Gradient of minus the objective with respect to `delta` (C, H, W)."""
    loss = -sum(
        torch.log(0.5 * activations.square().sum().clamp_min(1e-30)) for activations in model.features(batch + delta)
    )
    return torch.autograd.grad(loss, delta)[0]
