"""Trust region attack (Yao et al. 2019, https://arxiv.org/abs/1812.06371)."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import Access, MinimalAttack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row, steepest
from ..core.registry import register_attack
from ..core.seeding import Draws
from ..core.task import Task
from ._boundary import nearest_boundary
from ._gradient import loss_and_gradient
from ._hyperplane import linear_distance
from ._losses import margin, rivals

_RADII: dict[Norm, tuple[float, float]] = {"l2": (0.0005, 0.05), "linf": (0.0001, 0.01)}


@register_attack("trust-region")
@dataclass(frozen=True, kw_only=True)
class TrustRegion(MinimalAttack):
    """Step towards the nearest boundary of the linearised model, at most a radius at a time, which adapts to the image.

    There are up to `steps` steps. The boundary is chosen once: of those with the `classes` highest logits, that of `y`
    included, the one nearest to `x` in the linearised model. A step is 1.02 times as long as the smaller of radius and
    distance plus 0.0001. The radius starts at `radius`; if `adaptive`, it grows by a factor of 1.2 after a step that
    gained more than 0.9 of what the linear model promised, and shrinks by it after less than 0.5, within 0.0005..0.05
    (L2) or 0.0001..0.01 (Linf). These are the values of the authors' code. An image is finished once its prediction has
    left `y`; one that stays is returned unchanged.

    If `targeted`, the boundary is between `y` and the class that leads. Raises ConfigError for a model without class
    scores.
    """

    steps: int = 100
    radius: float = 0.001
    classes: int = 10
    adaptive: bool = True
    norm: Norm = "l2"

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("l2", "linf")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.classes < 2:
            raise ConfigError(f"Expected steps >= 1 and classes >= 2, got {self.steps} and {self.classes}.")
        if not self.radius > 0:
            raise ConfigError(f"Expected radius > 0, got {self.radius}.")

    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        with torch.no_grad():
            logits = model.averaged(x, rng=rng.fork("start"))
        ended, rows = x.clone(), (~self.reached(model, logits, y)).nonzero()[:, 0]  # `rows` go on; all below is of them
        if not len(rows):
            return ended
        z, y, draws = x[rows], y[rows], rng[rows]
        pair, lead, gradient = self._aim(model, z, y, logits[rows], draws.fork("aim"))
        radius, loss = torch.full_like(lead, self.radius), partial(self._lead, model.task)
        for index in range(self.steps):
            way = linear_distance(lead.clamp_max(0), gradient, self.norm)
            length = torch.minimum(way, radius).add_(1e-4).mul_(1.02)
            moved = torch.addcmul(z, steepest(gradient, self.norm), per_row(length, z)).clamp_(0, 1)
            promised = (moved - z).mul_(gradient).flatten(1).sum(dim=1)  # by the step, clipped to [0, 1]
            z, before = moved, lead
            lead, gradient, logits = loss_and_gradient(model, z, pair, rng=draws.fork(index), loss=loss)
            if self.adaptive:
                radius = self._adapted(radius, gained=lead - before, promised=promised)
            going = ~self.reached(model, logits, y)
            if not going.all():
                ended[rows[~going]] = z[~going]
                state = (rows, z, y, pair, lead, gradient, radius)
                rows, z, y, pair, lead, gradient, radius = (part[going] for part in state)
                draws = draws[going]
            if not len(rows):
                break
        return ended

    def _aim(self, model: Model, x: Tensor, y: Tensor, logits: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Return the classes to reach and to leave (N, 2), the lead of the first (N,), and its gradient."""
        if self.targeted:
            pair = torch.stack([y, y], dim=1)
            return pair, *loss_and_gradient(model, x, pair, rng=draws, loss=partial(self._lead, model.task))[:2]
        others = rivals(model, logits, y, self.classes - 1)
        nearest, lead, gradient = nearest_boundary(model, x, y, others, self.norm, rng=draws)
        return torch.stack([others.gather(1, nearest[:, None])[:, 0], y], dim=1), lead, gradient

    def _lead(self, task: Task, logits: Tensor, pair: Tensor) -> Tensor:
        if self.targeted:
            return -margin(logits, pair[:, 0])
        reach, leave = task.to_leave(logits, pair[:, 1]).gather(1, pair).unbind(dim=1)
        return reach - leave

    def _adapted(self, radius: Tensor, *, gained: Tensor, promised: Tensor) -> Tensor:
        low, high = _RADII[self.norm]
        factor = torch.where(gained > 0.9 * promised, 1.2, torch.where(gained < 0.5 * promised, 1 / 1.2, 1.0))
        return (radius * factor).clamp_(low, high)
