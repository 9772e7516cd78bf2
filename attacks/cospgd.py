"""CosPGD (Agnihotri, Jung and Keuper 2024, https://arxiv.org/abs/2302.02213): PGD that weighs pixels by alignment."""

from dataclasses import dataclass

from torch import Tensor

from ..core.model import Model
from ..core.registry import register_attack
from ..core.task import Places
from ._losses import Loss, WeighedObjective
from .pgd import PGD


@register_attack("cospgd")
@dataclass(frozen=True, kw_only=True)
class CosPGD(PGD):
    """PGD whose loss weighs each pixel by the cosine between its class probabilities and the class `y`.

    Pixels that are far from `y` already are left alone, and those that are sure of it are attacked most; if `targeted`,
    the weight is 1 minus the cosine. For depth, a single number per pixel, the smaller of prediction and `y` over the
    larger takes its place. The weights have no gradient.
    """

    steps: int = 20

    def ascended(self, model: Model, step: int) -> Loss:
        def weights(places: Places) -> Tensor:
            return 1 - places.alignment if self.targeted else places.alignment

        return WeighedObjective(model.task, self.targeted, weights=weights)
