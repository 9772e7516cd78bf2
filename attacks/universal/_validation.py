"""Which candidate perturbation is best, on substitute images."""

import torch
from torch import Tensor

from ...core.model import Model

CHUNK = 128


class BestSoFar:
    """Keeps the perturbation (C, H, W) with the highest fooling rate on `images` (N, C, H, W).

    `rate` is that of `delta`, in 0..1 (-1 before the first offer); `failures` counts the offers since then.
    """

    def __init__(self, model: Model, images: Tensor) -> None:
        self.delta = torch.zeros_like(images[0])
        self.rate = -1.0
        self.failures = 0
        self._model = model
        self._chunks = images.split(CHUNK)
        self._clean = [model.predict(chunk) for chunk in self._chunks]

    def offer(self, delta: Tensor) -> None:
        """A tie keeps the earlier one and counts as a failure."""
        rate = self._fooling_rate(delta)
        if rate > self.rate:
            self.delta, self.rate, self.failures = delta.detach().clone(), rate, 0
        else:
            self.failures += 1

    def _fooling_rate(self, delta: Tensor) -> float:
        perturbed = [self._model.predict((chunk + delta.detach()).clamp(0, 1)) for chunk in self._chunks]
        changed = torch.cat([p != c for p, c in zip(perturbed, self._clean, strict=True)])
        return float(changed.float().mean())
