"""The goal of C&W's attacks: a margin of at least the confidence."""

from dataclasses import dataclass

from torch import Tensor

from ...core.task import Task
from .._losses import gain, margin

_SURPLUS = 1e-5  # of the spread of the logits: a smaller margin may be lost when the point is evaluated again


@dataclass(frozen=True)
class Goal:
    """The goal of an attack, in margins (N,): those of another class over `y`, or, targeted, of `y` over the others."""

    task: Task
    targeted: bool
    confidence: float

    def margin(self, logits: Tensor, y: Tensor) -> Tensor:
        return gain(margin, self.task, self.targeted)(logits, y)

    def reached(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return a mask (N,) of successes. A tie is none: which of two equal classes a model predicts is arbitrary."""
        margins = self.margin(logits, y)
        return (margins >= self.confidence) & (margins > _SURPLUS * (logits.amax(dim=1) - logits.amin(dim=1)))

    def hinge(self, margins: Tensor) -> Tensor:
        return (self.confidence - margins).clamp_min_(0)
