"""When to leave off: what C&W's searches in all norms know of how far each image's descent has come."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from .._rows import Rows

_PROGRESS = 0.99  # a window that leaves more than this share of the loss and of the norm was in vain


@dataclass
class Progress(Rows):
    """Of a descent, as seen at the end of each window of steps."""

    steps: Tensor
    lowest: Tensor  # loss before this window
    now: Tensor  # the lowest of this window

    @classmethod
    def none(cls, images: int, device: torch.device) -> Self:
        unknown = torch.full((images,), torch.inf, device=device)
        return cls(torch.zeros(images, dtype=torch.int64, device=device), unknown, unknown.clone())

    def add(self, loss: Tensor) -> None:
        """A step at a point of this loss."""
        self.steps = self.steps + 1
        self.now = torch.minimum(self.now, loss)

    def due(self, steps: int) -> Tensor:
        """Whose window is at its end, where `steps` are the most that a descent takes."""
        return (self.steps > 0) & ((self.steps % window_of(steps) == 0) | (self.steps == steps))

    def turn(self, due: Tensor, steps: int, otherwise: Tensor | None = None) -> Tensor:
        """Open the next window where one is `due`. Returns whose descent has ended, which then begins anew.

        That is where all steps are taken, and where the window lowered neither the loss nor, as `otherwise` has it,
        anything else.
        """
        better = self.now < _PROGRESS * self.lowest
        if otherwise is not None:
            better = better | otherwise
        ended = due & (~better | (self.steps == steps))
        self.lowest = torch.minimum(self.lowest, self.now.masked_fill(~due, torch.inf))
        self.now = self.now.masked_fill(due, torch.inf)
        self.restart(ended)
        return ended

    def restart(self, which: Tensor) -> None:
        """Forget what was: the losses to come are of another problem."""
        self.steps = self.steps.masked_fill(which, 0)
        self.lowest, self.now = self.lowest.masked_fill(which, torch.inf), self.now.masked_fill(which, torch.inf)


def fell(norm: Tensor, before: Tensor) -> Tensor:
    """Whether it is progress, too."""
    return norm < _PROGRESS * before


def window_of(steps: int) -> int:
    """How many steps pass between two looks at an image's progress: a twentieth of a search, so that more steps mean
    more patience (the paper looks ten times), but ten at least, which Adam needs to turn round.
    """
    return min(max(10, steps // 20), steps)
