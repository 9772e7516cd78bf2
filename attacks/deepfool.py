"""DeepFool: across the nearest class boundary (Moosavi-Dezfooli et al. 2016, https://arxiv.org/abs/1511.04599)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..core.attack import Access, MinimalAttack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, dual_size, per_row, steepest
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._gradient import check_differentiable, check_finite, gradient_at, mean
from ._looks import Parted, asked, asked_of_step
from ._losses import rivals
from ._rows import Rows

BEYOND = 1e-4  # added to every distance, as in the authors' code: a step just to the boundary need not cross it
FAR = 2.0  # times the nearest distance: classes beyond are not differentiated again


@register_attack("deepfool")
@dataclass(frozen=True, kw_only=True)
class DeepFool(MinimalAttack):
    """Step across the nearest class boundary of the linearised model until the prediction leaves `y`.

    Only the `classes` highest logits of the clean image, its own included, are considered. Every step overshoots by
    `overshoot` (a share of its length) and is clipped to [0, 1]. An image that keeps its class for `steps` steps, or
    whose gradients are all zero, is returned unchanged. Defaults are those of the authors' code.

    From the second step on, a class is not differentiated again if it is FAR according to its last gradient norm. For
    an affine model that changes nothing, nor for another as long as no such norm has doubled since.
    """

    norm: Norm = "l2"
    classes: int = 10
    steps: int = 50
    overshoot: float = 0.02

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("l2", "linf")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targeted:
            raise ConfigError("DeepFool leaves a class for whichever is nearest: expected targeted=False, got True.")
        if self.classes < 2 or self.steps < 1 or not self.overshoot >= 0:
            given = f"{self.classes}, {self.steps} and {self.overshoot}"
            raise ConfigError(f"Expected classes >= 2, steps >= 1 and overshoot >= 0, got {given}.")

    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        check_differentiable(model)
        found, z, rows = x.clone(), x.clone(), torch.arange(len(x), device=x.device)  # `rows` go on, at points `z`
        faces = None
        for index in range(self.steps + 1):
            fresh = rng.fork(index)
            graph = _forward(model, z, y, fresh)
            left = model.task.reached(model.task.predict(graph.judged), y, targeted=False)
            (count,) = asked_of_step(model, z, graph.judged, left.sum())
            found[rows] = torch.where(per_row(left, z), z, found[rows])
            if index == self.steps or count == len(rows):
                break
            faces = faces or _Faces.of(model, graph.outputs.detach(), y, self.classes - 1, self.norm)
            distance, normal, ended = faces.nearest(model, z, fresh, graph, left)
            del graph  # frees its memory before the next forward pass
            if ended:
                going = Parted.by(~distance.isfinite(), ended).others
                rows, z, y, distance, normal = (part[going] for part in (rows, z, y, distance, normal))
                faces, rng = faces[going], rng[going]
            if not len(rows):
                break
            length = (1 + self.overshoot) * (distance + BEYOND)
            z.add_(steepest(normal, self.norm).mul_(per_row(length, z))).clamp_(0, 1)
        return found


class _Graph(NamedTuple):
    """A forward pass: `outputs` measure distances, `judged`, without gradient, is the task's average.

    For a randomized system `outputs` is a mean; what counts for `y` is merged into its logit.
    """

    point: Tensor
    outputs: Tensor
    judged: Tensor


def _forward(model: Model, z: Tensor, y: Tensor, rng: Draws) -> _Graph:
    point = z.detach().requires_grad_()
    evaluations = model.each(point, rng=rng)
    outputs = model.task.to_leave(mean(evaluations), y)
    return _Graph(point, outputs, model.average(evaluations).detach())


@dataclass
class _Faces(Rows):
    """The boundaries between the class `y` (N,) and the `others` (N, D), and the last dual norms of their slopes."""

    norm: Norm
    y: Tensor
    others: Tensor
    steepness: Tensor

    @classmethod
    def of(cls, model: Model, outputs: Tensor, y: Tensor, most: int, norm: Norm) -> "_Faces":
        others = rivals(model, outputs, y, most)
        return cls(norm, y, others, torch.full_like(others, torch.inf, dtype=outputs.dtype))  # all may be near

    def nearest(self, model: Model, z: Tensor, rng: Draws, graph: _Graph, left: Tensor) -> tuple[Tensor, Tensor, int]:
        """Return the distance to the nearest boundary (N,), its normal (N, C, H, W), and how many are infinite.

        A distance is infinite if all gradients are zero, and minus infinity for an image that has `left` already.
        """
        gaps = (graph.outputs.gather(1, self.y[:, None]) - graph.outputs.gather(1, self.others)).detach()
        estimates, order = (gaps / self.steepness).sort(dim=1, stable=True)
        estimates = pad(estimates, (0, 1), value=torch.nan)  # after the last boundary none is near
        distance = torch.where(left, -torch.inf, torch.inf).to(gaps)
        normal, held = torch.zeros_like(z), torch.arange(len(z), device=z.device)  # `held` are the images of the graph
        steepness, infinite = torch.zeros_like(distance), 0
        for place in range(estimates.shape[1]):
            near = estimates[held, place] <= FAR * distance[held]
            finite, count, infinite = asked(steepness.isfinite().all(), near.sum(), distance.isinf().sum())
            if not finite:  # NaN or infinity anywhere in the last gradient shows in its norm
                check_finite(model, steepness[:, None])
            if not count:
                break
            if 2 * count <= len(held):  # what is saved in backward passes pays for another forward pass
                chosen = Parted.by(near, count).chosen
                held, near = held[chosen], near[chosen]
                graph = _forward(model, z[held], self.y[held], rng[held])
            face = order[held, place]
            slope, steepness = self._differentiate(model, graph, held, face)
            self.steepness[held, face] = torch.where(near, steepness.to(self.steepness), self.steepness[held, face])
            reach = (gaps[held, face].abs() / steepness).to(distance)
            nearer = near & (reach < distance[held])
            distance[held] = torch.where(nearer, reach, distance[held])
            normal[held] = torch.where(per_row(nearer, slope), slope, normal[held])
        return distance, normal, infinite

    def _differentiate(self, model: Model, graph: _Graph, rows: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient across one boundary of each image, and its dual norm."""
        other = graph.outputs.gather(1, self.others[rows, face][:, None])
        rise = other - graph.outputs.gather(1, self.y[rows][:, None])
        slope = gradient_at(model, graph.point, rise.sum(), retain_graph=True)
        return slope, dual_size(slope, self.norm)
