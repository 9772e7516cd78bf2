"""RayS (Chen and Gu 2020, https://arxiv.org/abs/2006.12792): the nearest boundary along rays of signs, by decisions."""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import Access
from ..core.model import Model
from ..core.norms import Norm, per_row
from ..core.query_attack import QueryAttack, Searched
from ..core.registry import register_attack
from ..core.seeding import Draws

_BISECTIONS = 8  # of the way to the last boundary: to within 1/256 of it


@register_attack("rays")
@dataclass(frozen=True, kw_only=True)
class RayS(QueryAttack):
    """Follows a ray that changes all values equally far, up or down, and turns it where the boundary is nearer.

    It sees predicted classes only, those of `queries` points an image. A ray begins with all values going up. Then one
    block of values after the other goes the other way: all of them, each half, each quarter, and so on, and from the
    beginning again after single values. Where the turned ray is adversarial at the distance of the last boundary, it is
    kept, and its boundary bisected. An image rests once its boundary lies within the budget; else it gets all of that
    along its ray.
    """

    queries: int = 1000

    access: ClassVar[Access] = "decision"
    needs_class_scores: ClassVar[bool] = True
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    def search(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Searched:
        values = x[0].numel()
        reach = self.eps if self.norm == "linf" else self.eps / math.sqrt(values)  # of each value
        found, rays = x.clone(), _Rays.of(x, y, rng)
        asked = torch.zeros_like(rays.asked)
        for turn, block in enumerate(_blocks(values)):
            going = (rays.boundary > reach) & (rays.asked < self.queries)
            if not going.all():
                resting = rays[~going]
                found[resting.rows] = resting.points(resting.boundary.clamp(max=reach))
                asked[resting.rows] = resting.asked
                rays = rays[going]
            if not len(rays.rows):
                break
            turned = rays.turned(block)
            hit = self._hits(model, turned, turned.boundary.clamp(max=1), f"{turn}")
            rays.asked += 1  # in place: `turned` shares the count
            if hit.any():
                nearer = turned[hit]
                self._bisect(model, nearer, reach, turn)
                rays.signs[hit], rays.boundary[hit], rays.asked[hit] = nearer.signs, nearer.boundary, nearer.asked
        return Searched(found, asked)

    def _bisect(self, model: Model, rays: "_Rays", reach: float, turn: int) -> None:
        """Bring the boundaries nearer, for as long as there are queries left and the budget does not do."""
        low, rays.boundary = torch.zeros_like(rays.boundary), rays.boundary.clamp(max=1)
        for bisection in range(_BISECTIONS):
            rows = ((rays.boundary > reach) & (rays.asked < self.queries)).nonzero()[:, 0]
            if not len(rows):
                return
            middle = (low[rows] + rays.boundary[rows]) / 2
            hit = self._hits(model, rays[rows], middle, f"{turn} {bisection}")
            rays.asked[rows] += 1
            rays.boundary[rows[hit]], low[rows[~hit]] = middle[hit], middle[~hit]

    def _hits(self, model: Model, rays: "_Rays", lengths: Tensor, label: str) -> Tensor:
        outputs = model.averaged(rays.points(lengths), rng=rays.draws.fork(label))
        return self.reached(model, outputs, rays.y)


@dataclass
class _Rays:
    """One ray an image: which way its values go, how far the boundary is, and how many points have been asked about."""

    rows: Tensor
    x: Tensor
    y: Tensor
    draws: Draws
    signs: Tensor
    boundary: Tensor
    asked: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, draws: Draws) -> "_Rays":
        rows = torch.arange(len(x), device=x.device)
        unknown = x.new_full((len(x),), torch.inf)
        return cls(rows, x, y, draws, torch.ones_like(x), unknown, torch.zeros_like(rows))

    def __getitem__(self, rows: Tensor) -> "_Rays":
        chosen = copy.copy(self)
        vars(chosen).update({name: part[rows] for name, part in vars(self).items()})
        return chosen

    def turned(self, block: slice) -> "_Rays":
        signs = self.signs.flatten(1).clone()
        signs[:, block] *= -1
        return replace(self, signs=signs.view_as(self.x))

    def points(self, lengths: Tensor) -> Tensor:
        return (self.x + per_row(lengths, self.x) * self.signs).clamp_(0, 1)


def _blocks(values: int) -> Iterator[slice]:
    """None of the values, all, each half, each quarter, ..., each single one, all again, ..."""
    yield slice(0, 0)
    for halvings in itertools.cycle(range(math.ceil(math.log2(values)) + 1)):
        size = math.ceil(values / 2**halvings)
        yield from (slice(start, start + size) for start in range(0, values, size))
