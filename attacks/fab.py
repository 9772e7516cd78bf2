"""Fast adaptive boundary attack (Croce & Hein 2020, https://arxiv.org/abs/1907.02044)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import Access, MinimalAttack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row, random_point, size
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._boundary import nearest_boundary
from ._gradient import loss_and_gradient
from ._hyperplane import move_onto
from ._losses import check_target_classes, class_count, gain, margin, rivals

_REACH: dict[Norm, float] = {"linf": 0.3, "l2": 1.0, "l1": 5.0}  # twice the largest distance of a random start
_FINAL_STEPS = 3
_SURPLUS = 1e-5  # of the lead that had to be won: the goal must lead by that much, or rounding may undo it
_CAUTION = 0.1  # share of the way beyond a linear estimate of the boundary to add, so as not to fall short
_TINY = 1e-12  # guards a division by a distance


@register_attack("fab")
@dataclass(frozen=True, kw_only=True)
class FAB(MinimalAttack):
    """Project onto the linearised boundary `steps` times, and return the nearest adversarial point met.

    Each step overshoots by `eta`, and is drawn towards the projection of `x` with a weight of up to `alpha_max`. Where
    the new point is adversarial, the next step starts a share `beta` of the way from `x` to it. A final search of three
    evaluations moves the nearest point found to the boundary between it and `x`.

    The boundary is that with the class nearest in the linearised model: classes - 1 backward passes a step. With
    `target_classes` = n > 0 it is instead, one search after another, that with each of the n highest-scoring other
    classes (AutoAttack: 9): one backward pass a step. `restarts` - 1 further searches start at random points, at most
    half as far from `x` as the nearest point so far, and within eps / 2 and 0.15 (Linf), 0.5 (L2) or 2.5 (L1).
    """

    steps: int = 100
    restarts: int = 1
    target_classes: int = 0
    alpha_max: float = 0.1
    beta: float = 0.9
    eta: float = 1.05

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2", "l1")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.restarts < 1:
            raise ConfigError(f"Expected steps >= 1 and restarts >= 1, got {self.steps} and {self.restarts}.")
        check_target_classes(self.target_classes, targeted=self.targeted)
        if not (0 <= self.alpha_max <= 1 and 0 < self.beta < 1 and self.eta >= 1):
            raise ConfigError(
                "Expected 0 <= alpha_max <= 1, 0 < beta < 1 and eta >= 1, "
                f"got {self.alpha_max}, {self.beta} and {self.eta}."
            )

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.restarts > 1

    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        classes = class_count(model)
        outputs = model.averaged(x, rng=rng.fork("clean"))
        rows = (~self.reached(model, outputs, y)).nonzero()[:, 0]
        nearest = x.clone()
        if not len(rows):
            return nearest
        x, y, outputs, rng = x[rows], y[rows], outputs[rows], rng[rows]
        lead = self._lead(model, outputs, y)
        found = _Found(x.clone(), torch.full_like(lead, torch.inf), lead.clone())
        aims: tuple[Tensor | None, ...] = (None,)
        if not self.targeted:
            others = rivals(model, outputs, y, self.target_classes or classes)
            aims = others.split(1, dim=1) if self.target_classes else (others.sort(dim=1).values,)
        for place, aim in enumerate(aims):
            for restart in range(self.restarts):
                draws = rng.fork((place, restart))
                start = self._random_start(x, found.distance, draws) if restart else x
                self._search(model, start, x, y, aim, found, draws)
        nearest[rows] = self._retreat(model, x, y, lead, found, rng.fork("retreat"))
        return nearest

    def _search(
        self, model: Model, z: Tensor, x: Tensor, y: Tensor, others: Tensor | None, found: "_Found", draws: Draws
    ) -> None:
        """Follow the boundary from `z`, and offer `found` all points."""
        for step in range(self.steps):
            lead, slope = self._linearize(model, z, y, others, draws.fork(step))
            z = self._approach(z, x, lead, slope)
            lead = self._lead(model, model.averaged(z, rng=draws.fork((step, "beyond"))), y)
            found.offer(z, size(z - x, self.norm), lead)
            z = torch.where(per_row(lead > 0, z), torch.lerp(x, z, self.beta), z)

    def _linearize(
        self, model: Model, z: Tensor, y: Tensor, others: Tensor | None, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Return the lead (N,) of the class with the nearest linearised boundary to `z`, and its gradient (N, D)."""
        if others is None:
            lead, slope, _ = loss_and_gradient(model, z, y, rng=draws, loss=gain(margin, model.task, targeted=True))
        else:
            _, lead, slope = nearest_boundary(model, z, y, others, self.norm, rng=draws)
        return lead, slope.flatten(1)

    def _approach(self, z: Tensor, x: Tensor, lead: Tensor, slope: Tensor) -> Tensor:
        """Step beyond the plane on which the linearised lead is 0, between the projections of `z` and `x`."""
        ends = torch.stack([z, x])
        rise = torch.stack([-lead, -lead - (slope * (x - z).flatten(1)).sum(dim=1)])
        moves = move_onto(ends.flatten(2), slope, rise, self.norm).reshape(ends.shape)
        from_z, from_x = size(moves.flatten(0, 1), self.norm).reshape(2, -1)
        share = (from_z / (from_z + from_x).clamp_min(_TINY)).clamp_max(self.alpha_max)
        ends.add_(moves, alpha=self.eta)
        return torch.lerp(ends[0], ends[1], per_row(share, z)).clamp_(0, 1)

    def _random_start(self, x: Tensor, distance: Tensor, draws: Draws) -> Tensor:
        radius = distance.clamp_max(min(self.eps, _REACH[self.norm])) / 2
        return (x + per_row(radius, x) * random_point(draws, tuple(x.shape[1:]), self.norm, 1)).clamp_(0, 1)

    def _retreat(self, model: Model, x: Tensor, y: Tensor, near_lead: Tensor, found: "_Found", draws: Draws) -> Tensor:
        """Return the points found, moved towards `x` as far as regula falsi on the lead gets."""
        points, far_lead, surplus = found.points.clone(), found.lead, -_SURPLUS * near_lead
        near, far = torch.zeros_like(near_lead), torch.ones_like(near_lead)  # shares of the way, before and beyond it
        for step in range(_FINAL_STEPS):
            rise = far_lead - near_lead  # 0 where nothing was found
            crossing = ((surplus - near_lead) / torch.where(rise > 0, rise, torch.inf)).clamp(0, 1)
            crossing = torch.lerp(near, far, crossing)
            share = torch.lerp(crossing, far, _CAUTION)
            z = torch.lerp(x, found.points, per_row(share, x))
            lead = self._lead(model, model.averaged(z, rng=draws.fork(step)), y)
            beyond = lead > surplus
            points = torch.where(per_row(beyond, x), z, points)
            far, far_lead = torch.where(beyond, share, far), torch.where(beyond, lead, far_lead)
            near, near_lead = torch.where(beyond, near, share), torch.where(beyond, near_lead, lead)
        return points

    def _lead(self, model: Model, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the lead of the goal, positive where it is reached."""
        return gain(margin, model.task, self.targeted)(outputs, y)


@dataclass
class _Found:
    """The nearest adversarial point of each image so far, its distance, and the lead of the goal there."""

    points: Tensor
    distance: Tensor
    lead: Tensor

    def offer(self, points: Tensor, distance: Tensor, lead: Tensor) -> None:
        closer = (lead > 0) & (distance < self.distance)
        self.points[closer], self.distance[closer], self.lead[closer] = points[closer], distance[closer], lead[closer]
