"""The choice of the best perturbation, by its fooling rate on substitute images."""

import torch
from torch import Tensor

from ...core.model import Model
from ...core.seeding import Draws

CHUNK = 128
UNJUDGED = -1.0
"""The fooling rate before the first validation."""


def predictions(model: Model, images: Tensor, delta: Tensor | float = 0.0) -> Tensor:
    """Return predictions for `images` (N, C, H, W) under one perturbation; the draws are the same for all."""
    draws = Draws.of("validation", samples=range(len(images)), device=images.device)
    rows = torch.arange(len(images), device=images.device).split(CHUNK)
    return torch.cat([model.judge((images[some] + delta).clamp(0, 1), rng=draws[some]) for some in rows])


class BestSoFar:
    """The perturbation (C, H, W) with the highest fooling rate on `images` (N, C, H, W) so far.

    For maps, the fooling rate is the share of them that changes. With `target`, a class index, an image counts as
    fooled if that is its prediction. `rate` is that of `delta`, in 0..1, or UNJUDGED before the first offer; `failures`
    counts the offers since then.
    """

    def __init__(self, model: Model, images: Tensor, target: int | None = None) -> None:
        self.delta = torch.zeros_like(images[0])
        self.rate = UNJUDGED
        self.failures = 0
        self._model, self._images, self._target = model, images, target
        self._clean = predictions(model, images)

    def offer(self, delta: Tensor) -> None:
        """Validate a perturbation, and keep it if it is better; a tie keeps the earlier one and counts as a failure."""
        rate = self._fooling_rate(delta)
        if rate > self.rate:
            self.delta, self.rate, self.failures = delta.detach().clone(), rate, 0
        else:
            self.failures += 1

    def state(self) -> dict[str, Tensor]:
        """Return the state for a checkpoint."""
        rate = torch.tensor(self.rate, dtype=torch.float64)
        return {"best": self.delta, "best_rate": rate, "failures": torch.tensor(self.failures)}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.delta, self.rate, self.failures = state["best"], float(state["best_rate"]), int(state["failures"])

    def _fooling_rate(self, delta: Tensor) -> float:
        found = predictions(self._model, self._images, delta.detach())
        if self._target is not None:
            return float((found == self._target).float().mean())
        return float((1 - self._model.task.agreement(found, self._clean)).mean())
