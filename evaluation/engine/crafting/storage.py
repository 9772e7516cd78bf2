"""Round adversarial images to 8 bits as an attacker would: close to what was crafted, within the budget, still fooling.

A value between two levels is rounded outwards, away from the clean image, if it has come further than a threshold of
the way from the inner to the outer level. A threshold of one half rounds to the nearest level, which undoes attacks
that stop just beyond the decision boundary. In that case the threshold is lowered as far as the budget allows and, if
that does not suffice, the perturbation is scaled up. After a success the threshold is raised again as far as the image
still fools, so that as many values as possible return to the nearest level.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ....core.norms import size
from ....core.threat import Threat

Judge = Callable[[Tensor, Tensor], Tensor]
"""Maps images (M, C, H, W) and their rows (M,) in the shard to whether each image fools, bool (M,)."""

NEAREST = 0.5
"""The threshold that rounds to the nearest level."""
GROWTH = (1.05, 1.2, 1.5, 2.0)
"""The factors by which the perturbation is scaled, in turn, if rounding outwards alone does not fool."""
HALVINGS = 8
"""The number of bisection steps in a search for a threshold."""
SLACK = 1e-3
"""The tolerance, in levels, within which a value counts as lying on a level: float32 images are levels / 255."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Rounds adversarial images of the clean images `x` to 8 bits within `threat`; `fools` judges the candidates."""

    threat: Threat
    x: Tensor
    fools: Judge

    def search(self, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rounded images, uint8, and which of them, bool (N,), no longer fool although `x_adv` does."""
        rows = torch.arange(len(x_adv), device=x_adv.device)
        least = self._least(x_adv, rows)
        levels = self._rounded(x_adv, rows, least.clamp_min(NEAREST))
        undone = self.fools(x_adv, rows) & ~self.fools(levels / 255, rows)
        self._recover(levels, undone, x_adv, outermost=True)
        for growth in GROWTH:
            grown = self.threat.project(self.x + growth * (x_adv - self.x), self.x)
            self._recover(levels, undone, grown, outermost=False)
        return levels.to(torch.uint8), undone

    def _recover(self, levels: Tensor, undone: Tensor, values: Tensor, *, outermost: bool) -> None:
        """Round `values` in the `undone` rows; write those that fool into `levels` and clear them in `undone`."""
        rows = undone.nonzero()[:, 0]
        if not len(rows):
            return
        least = self._least(values[rows], rows)
        threshold = least if outermost else least.clamp_min(NEAREST)
        candidates = self._rounded(values[rows], rows, threshold)
        won = self.fools(candidates / 255, rows)
        found = rows[won]
        if len(found):
            levels[found] = self._back(candidates[won], values[found], found, threshold[won])
            undone[found] = False

    def _back(self, kept: Tensor, values: Tensor, rows: Tensor, fooling: Tensor) -> Tensor:
        """Return `kept` with thresholds raised while it still fools: values moved most by rounding go back first."""
        honest = fooling.clamp_min(NEAREST)
        for _ in range(HALVINGS):
            middle = (fooling + honest) / 2
            candidates = self._rounded(values, rows, middle)
            won = self.fools(candidates / 255, rows)
            kept = torch.where(_each(won), candidates, kept)
            fooling, honest = torch.where(won, middle, fooling), torch.where(won, honest, middle)
        return kept

    def _least(self, values: Tensor, rows: Tensor) -> Tensor:
        """Return the smallest thresholds (M,) that keep the budget; 0 for Linf, which `_rounded` enforces by value."""
        low = torch.zeros(len(rows), device=values.device)
        if self.threat.norm == "linf":
            return low
        least, beyond = torch.where(self._fits(values, rows, low), 0.0, 1.0), low
        for _ in range(HALVINGS):
            middle = (least + beyond) / 2
            fits = self._fits(values, rows, middle)
            least, beyond = torch.where(fits, middle, least), torch.where(fits, beyond, middle)
        return least

    def _fits(self, values: Tensor, rows: Tensor, threshold: Tensor) -> Tensor:
        change = self._rounded(values, rows, threshold) / 255 - self.x[rows]
        return size(change, self.threat.norm) <= self.threat.eps

    def _rounded(self, values: Tensor, rows: Tensor, threshold: Tensor) -> Tensor:
        x, levels = self.x[rows], 255 * values
        outwards = torch.where(values > x, 1.0, -1.0)
        inner = torch.where(values > x, (levels + SLACK).floor(), (levels - SLACK).ceil())
        rounded = inner + outwards * ((levels - inner).abs() > _each(threshold).clamp_min(SLACK))
        if self.threat.norm == "linf":
            low = (255 * (x - self.threat.eps) - SLACK).ceil()
            high = (255 * (x + self.threat.eps) + SLACK).floor()
            rounded = rounded.maximum(low).minimum(high)
        return rounded.clamp(0, 255)


def _each(of_images: Tensor) -> Tensor:
    """Reshape (M,) to (M, 1, 1, 1)."""
    return of_images[:, None, None, None]
