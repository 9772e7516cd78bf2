"""Jacobian-based saliency map attack, JSMA (Papernot et al. 2016, https://arxiv.org/abs/1511.07528)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.attack import Access, MinimalAttack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._gradient import class_gradients
from ._losses import class_count, rivals


@register_attack("jsma")
@dataclass(frozen=True, kw_only=True)
class JSMA(MinimalAttack):
    """Change the values that most raise the target's logit and lower the sum of all others, two at a time.

    `theta` is added to the chosen values until they are black or white; a negative one darkens. At most a fraction
    `gamma` of an image's values changes: 14.5 % by default, which the paper gives for MNIST, as it does theta = 1. With
    `pairs` the two values are those with the largest joint saliency (the paper's algorithm, exact for images of every
    size), without it single values are chosen (its saliency map).

    The method needs a target. If `targeted`, it is `y`; otherwise it is the class that comes second on the clean image,
    and an image is finished once its prediction has left `y` for any class. An image that never does is returned
    unchanged. Raises ConfigError for a model without class scores.
    """

    theta: float = 1.0
    gamma: float = 0.145
    pairs: bool = True
    norm: Norm = "l0"

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("l0",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.001 <= abs(self.theta) <= 1:
            raise ConfigError(f"Expected theta or -theta in [0.001, 1], got {self.theta}.")
        if not 0 < self.gamma <= 1:
            raise ConfigError(f"Expected gamma in (0, 1], got {self.gamma}.")

    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        classes = class_count(model)
        with torch.no_grad():
            logits = model.averaged(x, rng=rng.fork("start"))
        ended, rows = x.clone(), (~self.reached(model, logits, y)).nonzero()[:, 0]  # `rows` go on; all below is of them
        z, y, draws = x.flatten(1)[rows], y[rows], rng[rows]
        target = y if self.targeted else rivals(model, logits[rows], y, 1)[:, 0]
        changed = torch.zeros_like(z, dtype=torch.bool)
        index = 0
        while len(rows):  # ends: every round moves values by theta towards white or black
            reach = F.one_hot(target, classes)
            directions = torch.stack([reach, 1 - reach], dim=1).to(z)
            images = z.reshape(-1, *x.shape[1:])
            _, gradients, logits = class_gradients(model, images, directions, rng=draws.fork(index))
            reached = self.reached(model, logits, y)
            ended[rows[reached]] = images[reached]
            chosen, saliency = self._choose(z, changed, gradients.flatten(2))
            going = ~reached & (saliency > 0)
            if not going.all():
                state = (rows, z, y, target, changed, chosen)
                rows, z, y, target, changed, chosen = (part[going] for part in state)
                draws = draws[going]
            z.scatter_(1, chosen, (z.gather(1, chosen) + self.theta).clamp_(0, 1))
            changed.scatter_(1, chosen, True)
            index += 1
        return ended

    def _choose(self, z: Tensor, changed: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values to change (N, 1 or 2), and their saliency (N,): 0 where no choice helps."""
        free = (z < 1) if self.theta > 0 else (z > 0)
        room = changed.sum(dim=1, keepdim=True) + (2 if self.pairs else 1) <= self.gamma * z.shape[1]
        closed = ~(free & (changed | room))
        towards, against = (gradients if self.theta > 0 else -gradients).unbind(dim=1)
        gain, relief = towards.masked_fill(closed, -torch.inf), (-against).masked_fill(closed, -torch.inf)
        return best_pair(gain, relief) if self.pairs else best_value(gain, relief)


def best_value(gain: Tensor, relief: Tensor) -> tuple[Tensor, Tensor]:
    """Return the column (N, 1) with the largest saliency of two tensors (N, D), and that saliency or 0 (N,)."""
    saliency, chosen = _saliency(gain, relief).max(dim=1)
    return chosen[:, None], saliency


def best_pair(gain: Tensor, relief: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two columns (N, 2) with the largest saliency of their sums, and that saliency or 0 (N,).

    It is exact without trying all pairs: if two columns are at least as good as a third in both `gain` and `relief`,
    one of them can replace it in any pair. So only columns that at most one other dominates are tried: of thousands a
    few dozen.
    """
    order = gain.argsort(dim=1, descending=True, stable=True)
    relief = relief.gather(1, order)
    largest = relief.cummax(dim=1).values
    second = torch.minimum(relief, _shifted(largest)).cummax(dim=1).values
    candidate = relief > _shifted(second)  # at most one column of larger gain has as much relief
    columns = torch.arange(gain.shape[1], device=gain.device)
    most = int(candidate.sum(dim=1).max())
    places = torch.where(candidate, columns, len(columns)).topk(most, dim=1, largest=False).indices
    order, relief = order.gather(1, places), relief.gather(1, places)
    relief.masked_fill_(~candidate.gather(1, places), -torch.inf)  # rows with fewer candidates
    gain = gain.gather(1, order)
    best = torch.zeros(len(gain), dtype=torch.float64, device=gain.device)
    pair = torch.zeros(len(gain), 2, dtype=torch.int64, device=gain.device)
    for place in range(most - 1):
        later = slice(place + 1, most)
        saliency = _saliency(gain[:, place, None] + gain[:, later], relief[:, place, None] + relief[:, later])
        found, partner = saliency.max(dim=1, keepdim=True)
        better = found > best[:, None]
        pair = torch.where(better, torch.cat([order[:, place, None], order[:, later].gather(1, partner)], dim=1), pair)
        best = torch.maximum(best, found[:, 0])
    return pair, best


def _saliency(gain: Tensor, relief: Tensor) -> Tensor:
    """Return gain * relief where both are positive, else 0; in double precision, as products of gradients underflow."""
    return torch.where((gain > 0) & (relief > 0), gain.double() * relief.double(), 0.0)


def _shifted(values: Tensor) -> Tensor:
    """Return each row shifted right by one entry, behind minus infinity."""
    return F.pad(values, (1, 0), value=-torch.inf)[:, :-1]
