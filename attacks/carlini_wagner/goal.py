"""What the attack is to reach: a margin of at least the confidence."""

from dataclasses import dataclass

from torch import Tensor

from ...core.task import Task
from .._losses import gain, margin

_SURPLUS = 1e-5  # of the spread of the logits: by less, another look at the same point may see another class


@dataclass(frozen=True)
class Goal:
    """Margins (N,) are those of another class over `y`, or of `y` over the others where targeted."""

    task: Task
    targeted: bool
    confidence: float

    def margin(self, logits: Tensor, y: Tensor) -> Tensor:
        return gain(margin, self.task, self.targeted)(logits, y)

    def reached(self, logits: Tensor, y: Tensor) -> Tensor:
        """A tie is no success: which of two equal classes a model predicts is its own affair."""
        margins = self.margin(logits, y)
        return (margins >= self.confidence) & (margins > _SURPLUS * (logits.amax(dim=1) - logits.amin(dim=1)))

    def hinge(self, margins: Tensor) -> Tensor:
        return (self.confidence - margins).clamp_min_(0)
