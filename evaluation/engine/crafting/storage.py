"""The 8-bit image that an attacker would store: near to what was crafted, within the budget, and still fooling.

A value between two levels goes to the one away from the clean image where it has come further than a threshold of the
way to it. One half is rounding to the nearest, which undoes what stops just beyond a boundary. Then the threshold falls
as far as the budget allows, and where that is not enough the whole change grows; of a success it rises again as far as
it can, so that as many values as can be go back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ....core.norms import size
from ....core.threat import Threat

Judge = Callable[[Tensor, Tensor], Tensor]
"""Whether images (M, C, H, W) for the given rows (M,) of the shard fool."""

NEAREST = 0.5
GROWTH = (1.05, 1.2, 1.5, 2.0)
"""Times the change, where rounding outwards alone does not fool."""
HALVINGS = 8
"""Of an interval of thresholds."""
SLACK = 1e-3
"""Levels by which a value that lies on a level may be off it: float32 images are levels / 255."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Rounds images around `x` within `threat`; `fools` judges candidates."""

    threat: Threat
    x: Tensor
    fools: Judge

    def search(self, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 images, and which of them (N,) no longer fool although `x_adv` does."""
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
        """Put into `levels` what fools by rounding `values`, and say in `undone` what is mended thereby."""
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
        """The same with as large a threshold as still fools: values that rounding moved most go back first."""
        honest = fooling.clamp_min(NEAREST)
        for _ in range(HALVINGS):
            middle = (fooling + honest) / 2
            candidates = self._rounded(values, rows, middle)
            won = self.fools(candidates / 255, rows)
            kept = torch.where(_each(won), candidates, kept)
            fooling, honest = torch.where(won, middle, fooling), torch.where(won, honest, middle)
        return kept

    def _least(self, values: Tensor, rows: Tensor) -> Tensor:
        """The smallest thresholds (M,) that keep the budget; Linf is kept value by value, whatever they are."""
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
    """(M,) to (M, 1, 1, 1)."""
    return of_images[:, None, None, None]
