"""SegPGD (Gu et al. 2022, https://arxiv.org/abs/2207.12391): PGD that turns from right pixels to wrong ones."""

from dataclasses import dataclass

from torch import Tensor

from ..core.model import Model
from ..core.registry import register_attack
from ..core.task import Places
from ._losses import Loss, WeighedObjective
from .pgd import PGD


@register_attack("segpgd")
@dataclass(frozen=True, kw_only=True)
class SegPGD(PGD):
    """PGD whose loss weighs each pixel by whether it still resists.

    At step t of T, from 0, pixels that have left `y` have a weight of t / 2T, all others 1 - t / 2T: at first only
    pixels that are still right are attacked, at last all alike. If `targeted`, pixels that have reached `y` have the
    smaller weight. On an image with one answer it is PGD.
    """

    steps: int = 20

    def ascended(self, model: Model, step: int) -> Loss:
        done_weight = step / (2 * self.steps)

        def weights(places: Places) -> Tensor:
            done = places.right == self.targeted
            return 1 - done_weight + (2 * done_weight - 1) * done

        return WeighedObjective(model.task, self.targeted, weights=weights)
