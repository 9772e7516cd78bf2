"""Early stopping of C&W's searches in all norms, by the progress of each image's descent."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from .._rows import Rows

_PROGRESS = 0.99  # a window makes progress if it leaves less than this share of the loss or of the norm


@dataclass
class Progress(Rows):
    """The progress of each image's descent, judged at the end of each window of steps."""

    steps: Tensor
    lowest: Tensor  # the lowest loss before this window
    now: Tensor  # the lowest loss of this window

    @classmethod
    def none(cls, images: int, device: torch.device) -> Self:
        unknown = torch.full((images,), torch.inf, device=device)
        return cls(torch.zeros(images, dtype=torch.int64, device=device), unknown, unknown.clone())

    def add(self, loss: Tensor) -> None:
        """Record a step at points of this loss."""
        self.steps = self.steps + 1
        self.now = torch.minimum(self.now, loss)

    def due(self, steps: int) -> Tensor:
        """Return a mask of the images whose window ends now; `steps` is the length of a full descent."""
        return (self.steps > 0) & ((self.steps % window_of(steps) == 0) | (self.steps == steps))

    def turn(self, due: Tensor, steps: int, otherwise: Tensor | None = None) -> Tensor:
        """Open the next window of images that are `due`; return which descents have ended, which restart.

        A descent ends when all steps are taken, or if the window lowered neither the loss nor, according to
        `otherwise`, anything else.
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
        """Forget the past of some images: the losses to come are of another problem."""
        self.steps = self.steps.masked_fill(which, 0)
        self.lowest, self.now = self.lowest.masked_fill(which, torch.inf), self.now.masked_fill(which, torch.inf)


def fell(norm: Tensor, before: Tensor) -> Tensor:
    """Return which norms have fallen enough to count as progress."""
    return norm < _PROGRESS * before


def window_of(steps: int) -> int:
    """Return the number of steps between two checks of an image's progress.

    A twentieth of a search, so that more steps mean more patience (the paper checks ten times), but ten at least, which
    Adam needs to turn round.
    """
    return min(max(10, steps // 20), steps)
