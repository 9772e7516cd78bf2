"""The strongest result of several searches, for each image."""

from torch import Tensor

from ..core.model import Model
from ..core.seeding import Draws
from ..core.strength import Strength, strength
from ._adaptive import take


class Strongest:
    """The strongest `points` (N, C, H, W) so far, judged with the draws `judges`.

    Use other draws than those the points are found with.
    """

    def __init__(self, model: Model, start: Tensor, y: Tensor, *, targeted: bool, judges: Draws) -> None:
        self.points = start.clone()
        self._model, self._y, self._targeted, self._judges = model, y, targeted, judges
        self._known = self._judged(start)

    def offer(self, points: Tensor) -> None:
        """Offer a point for each image, and keep it if it is stronger."""
        found = self._judged(points)
        take(self.points, points, found.beats(self._known))
        self._known = self._known.improved(found)

    def _judged(self, points: Tensor) -> Strength:
        return strength(self._model, points, self._y, targeted=self._targeted, rng=self._judges)
