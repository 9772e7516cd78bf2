"""RayS (Chen and Gu 2020, https://arxiv.org/abs/2006.12792): the nearest boundary along sign vectors, by decisions."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import ClassVar

import torch
from torch import Tensor

from ..core.attack import Access
from ..core.model import Model
from ..core.norms import Norm, per_row
from ..core.query_attack import QueryAttack, Searched
from ..core.registry import register_attack
from ..core.seeding import Draws
from ..core.threat import Threat
from ._rows import Rows

_BISECTIONS = 8  # of the way to a boundary: it is known to 1/256 of that


@register_attack("rays")
@dataclass(frozen=True, kw_only=True)
class RayS(QueryAttack):
    """Search along sign vectors, which move all values equally far, and flip signs where the boundary comes nearer.

    It sees predicted classes only, for `queries` points per image. The first ray raises all values. Then the signs of
    one block of values after the other are flipped: all of them, each half, each quarter, and so on to single values,
    and again from the beginning. If the new ray is adversarial at the distance of the last boundary, it is kept, and
    its boundary bisected. An image is finished if it is misclassified as it comes, or once its boundary lies within the
    budget; else it is moved by the whole budget along its ray. (The paper spends 10,000 queries and more.)
    """

    queries: int = 1000

    access: ClassVar[Access] = "decision"
    needs_class_scores: ClassVar[bool] = True
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    def search(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Searched:
        blocks = torch.tensor([*islice(_blocks(x[0].numel()), self.queries)], device=x.device)
        found, asked = x.clone(), torch.zeros(len(x), dtype=torch.int64, device=x.device)
        fooled = self.reached(model, model.averaged(x, rng=rng.fork("clean")), y)  # the clean image is no query
        rays = _Rays.of(x, y, rng, self.threat)[~fooled]
        for query in range(self.queries):
            going = rays.boundary > rays.reach
            if not going.all():
                resting = rays[~going]
                found[resting.rows], asked[resting.rows] = resting.points(resting.boundary), query
                rays = rays[going]
            if not len(rays.rows):
                break
            tried, lengths = rays.tried(blocks)
            outputs = model.averaged(tried.points(lengths), rng=rays.draws.fork(query))
            rays.note(tried, lengths, self.reached(model, outputs, rays.y))
        found[rays.rows], asked[rays.rows] = rays.points(torch.minimum(rays.boundary, rays.reach)), self.queries
        return Searched(found, asked)


@dataclass
class _Rays(Rows):
    """A ray for each image: the signs of its direction, the distance of its boundary, and how far it may `reach`.

    `turn` is the number of its present block; `left` is how many more times the way to the boundary is halved before
    the next block, and no point up to `low` is adversarial then. So every image queries one point a step.
    """

    rows: Tensor
    x: Tensor
    y: Tensor
    draws: Draws
    threat: Threat
    signs: Tensor
    reach: Tensor
    boundary: Tensor
    low: Tensor
    turn: Tensor
    left: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, draws: Draws, threat: Threat) -> "_Rays":
        rows, signs = torch.arange(len(x), device=x.device), torch.ones_like(x)
        unknown, none = x.new_full((len(x),), torch.inf), torch.zeros_like(rows)
        reach = _reach(x, signs, threat)
        return cls(rows, x, y, draws, threat, signs, reach, unknown, torch.zeros_like(unknown), none, none.clone())

    def tried(self, blocks: Tensor) -> "tuple[_Rays, Tensor]":
        """Return the rays to query, and how far along: half the way, or with a block flipped at the last boundary."""
        halving = self.left > 0
        first, end = blocks[self.turn].masked_fill(halving[:, None], 0)[:, :, None].unbind(dim=1)
        place = torch.arange(self.x[0].numel(), device=self.x.device)
        turned = ((first <= place) & (place < end)).view_as(self.x)
        lengths = torch.where(halving, (self.low + self.boundary) / 2, self.boundary.clamp(max=1))
        return replace(self, signs=torch.where(turned, -self.signs, self.signs)), lengths

    def note(self, tried: "_Rays", lengths: Tensor, hit: Tensor) -> None:
        """Update the rays by whether the points that were `tried` are adversarial."""
        halving = self.left > 0
        turned = (hit & ~halving).nonzero()[:, 0]
        self.signs[turned] = tried.signs[turned]
        self.reach[turned] = _reach(self.x[turned], self.signs[turned], self.threat)
        self.boundary = torch.where(hit, lengths, self.boundary)
        self.low = torch.where(halving, torch.where(hit, self.low, lengths), 0)
        self.left = torch.where(halving, self.left - 1, _BISECTIONS * hit)
        self.turn = self.turn + (self.left == 0)

    def points(self, lengths: Tensor) -> Tensor:
        return (self.x + per_row(lengths, self.x) * self.signs).clamp_(0, 1)


def _reach(x: Tensor, signs: Tensor, threat: Threat) -> Tensor:
    """Return how far images (N, C, H, W) may be moved along rays before their change is as large as the budget, (N,).

    Values stop at black and white. Under L2 the others then have more of the budget: with those that have stopped by
    then it allows another length, up to which more may stop, until these are all.
    """
    if threat.norm == "linf":
        return x.new_full((len(x),), threat.eps)
    room = torch.where(signs > 0, 1 - x, x).flatten(1)
    length = x.new_full((len(x),), threat.eps / math.sqrt(room.shape[1]))
    while True:
        stopped = room <= length[:, None]
        left = (threat.eps**2 - (room * stopped).square().sum(dim=1)).clamp_min(0)
        longer = torch.where(stopped.all(dim=1), 1.0, (left / (~stopped).sum(dim=1).clamp_min(1)).sqrt())
        if not (longer > length).any():
            return length
        length = torch.maximum(length, longer)


def _blocks(values: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of each block: no values, all, each half, each quarter, ..., each value, all again, ..."""
    yield 0, 0
    for halvings in cycle(range(math.ceil(math.log2(values)) + 1)):
        size = math.ceil(values / 2**halvings)
        yield from ((start, start + size) for start in range(0, values, size))
