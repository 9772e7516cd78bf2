"""How good a candidate perturbation is, on substitute images."""

import torch
from torch import Tensor

from ...core.model import Model

CHUNK = 128


class FoolingRate:
    """Share of the images whose prediction a perturbation changes; the clean predictions are computed once."""

    def __init__(self, model: Model, images: Tensor) -> None:
        self._model = model
        self._chunks = images.split(CHUNK)
        self._clean = [model.predict(chunk) for chunk in self._chunks]

    def __call__(self, delta: Tensor) -> float:
        with torch.no_grad():
            perturbed = [self._model.predict((chunk + delta).clamp(0, 1)) for chunk in self._chunks]
        changed = torch.cat([p != c for p, c in zip(perturbed, self._clean, strict=True)])
        return float(changed.float().mean())
