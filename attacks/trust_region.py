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
    """Up to `steps` steps towards the nearest boundary of the linearised model, none longer than the image's radius.

    Which boundary is decided once: of those with the `classes` highest logits, that of `y` included, the one that the
    linearised model puts nearest to `x`. A step is 2 % longer than the smaller of radius and distance, plus 0.0001. The
    radius starts at `radius`; where `adaptive`, it grows by a factor of 1.2 after a step that gained more than 0.9 of
    what the linear model promised, and shrinks by it after less than 0.5, within 0.0005..0.05 (L2) or 0.0001..0.01
    (Linf). These are the values of the authors' code. An image rests once its prediction has left `y`; one that stays
    is given back as it was.

    Under `targeted` the boundary is that of `y` and whichever class leads. Raises ConfigError for a model without
    classes.
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
        ended, rows = x.clone(), (~self.reached(model, logits, y)).nonzero()[:, 0]  # `rows` go on; all below is theirs
        if not len(rows):
            return ended
        z, y, draws = x[rows], y[rows], rng[rows]
        pair, lead, gradient = self._aim(model, z, y, logits[rows], draws.fork("aim"))
        radius, loss = torch.full_like(lead, self.radius), partial(self._lead, model.task)
        for index in range(self.steps):
            way = linear_distance(lead.clamp_max(0), gradient, self.norm)
            length = torch.minimum(way, radius).add_(1e-4).mul_(1.02)
            moved = torch.addcmul(z, steepest(gradient, self.norm), per_row(length, z)).clamp_(0, 1)
            promised = (moved - z).mul_(gradient).flatten(1).sum(dim=1)  # by the step as [0, 1] has cut it
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
        """The class to reach and that to leave (N, 2), by how much the first leads (N,), and the gradient of that."""
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
