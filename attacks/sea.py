"""SEA, an ensemble for maps (Croce, Singh and Hein 2024, https://arxiv.org/abs/2306.12941).

Which loss hurts a network most differs from network to network and from image to image.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from ..core.attack import Access, Attack
from ..core.ensemble import Ensemble
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, random_point
from ..core.registry import register_attack
from ..core.seeding import Draws
from ..core.task import Places, Task
from ._adaptive import MOMENTUM, RHO, AdaptiveAscent, checkpoints, take
from ._gradient import loss_and_outputs, unchecked_loss_and_gradient
from ._looks import asked_of_step
from ._losses import Loss, WeighedObjective

PlaceLoss = Literal["balanced", "masked", "divergence"]
_STAGES = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))  # radius, in eps, and share of the steps


@register_attack("sea")
@dataclass(frozen=True, kw_only=True)
class SEA(Ensemble):
    """Three ascents on different losses, each from a random start and on every image; the worst case counts.

    - balanced: cross-entropy of the pixels that are still right, each class of the image with the same weight.
    - masked: the same, each pixel with the same weight.
    - divergence: Jensen-Shannon divergence from the target. It is bounded: pixels that are long lost pull no further.

    An ascent is APGD in `steps` steps, within 2 eps, then 1.5 eps, then eps. Each stage continues from the point of the
    one before that has the fewest right pixels, projected; that of the last is the result. In a table the row "sea" is
    the worst case: of accuracies and of image-wise mIoU image by image, of the mIoU of the set as a search over images
    and members finds it, an upper bound. The paper balances classes by their frequency in the training set, here it is
    that in the map.
    """

    steps: int = 300

    access: ClassVar[Access] = "gradient"
    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targeted:
            raise ConfigError("SEA is untargeted: expected targeted=False, got True.")

    @property
    def members(self) -> Mapping[str, Attack]:
        return {loss: ShrinkingAscent(eps=self.eps, steps=self.steps, loss=loss) for loss in get_args(PlaceLoss)}


@dataclass(frozen=True, kw_only=True)
class ShrinkingAscent(Attack):
    """One of the three ascents of `SEA`."""

    steps: int = 300
    loss: PlaceLoss = "masked"

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf",)
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < len(_STAGES):
            raise ConfigError(f"Expected steps >= {len(_STAGES)}, one for each radius, got {self.steps}.")

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        radii = [min(1.0, radius * self.eps) for radius, _ in _STAGES]  # 1 covers [0, 1]
        point = x + random_point(rng, tuple(x.shape[1:]), self.norm, radii[0])
        ends = [round(self.steps * sum(share for _, share in _STAGES[: number + 1])) for number in range(len(_STAGES))]
        for radius, begin, end in zip(radii, [0, *ends], ends, strict=False):
            ball = type(self)(eps=radius, steps=self.steps).threat.around(x)
            ascent = AdaptiveAscent(point, ball, torch.arange(len(x), device=x.device), y, None, rng)
            point = self._climb(model, ascent, begin, end)
        return point

    def _climb(self, model: Model, ascent: AdaptiveAscent, begin: int, end: int) -> Tensor:
        """Return the points with the fewest right pixels; these may have a lower loss, which ignores lost pixels."""
        due, fewest = checkpoints(end - begin), _Fewest(model, ascent.point, ascent.y)
        ascended = loss_of(model.task, self.loss)
        nothing = torch.zeros(len(ascent.y), dtype=torch.bool, device=ascent.point.device)  # finishes early
        for step in range(begin, end + 1):
            draws, point, gradient = ascent.draws.fork(step), ascent.point, None
            if step < end:
                loss, gradient, outputs = unchecked_loss_and_gradient(model, point, ascent.y, rng=draws, loss=ascended)
                asked_of_step(model, gradient, outputs)
            else:
                loss, outputs = loss_and_outputs(model, point, ascent.y, rng=draws, loss=ascended)
                model.task.check_outputs(outputs, len(point))
            fewest.note(point, outputs, loss)
            ascent.note(loss, gradient, nothing)
            if step - begin in due:
                ascent.adapt(RHO * due[step - begin])
            if step < end:
                ascent.move(MOMENTUM if step > begin else 0)
        return fewest.points


class _Fewest:
    """The points with the fewest right pixels so far, from the first on; of equal ones, that with the largest loss."""

    def __init__(self, model: Model, start: Tensor, y: Tensor) -> None:
        self.points, self._right = start.clone(), start.new_full((len(start),), torch.inf)
        self._loss = -self._right
        self._task, self._y = model.task, y

    def note(self, point: Tensor, outputs: Tensor, loss: Tensor) -> None:
        right = self._task.agreement(self._task.predict(outputs), self._y).to(self._right)
        better = (right < self._right) | ((right == self._right) & (loss > self._loss))
        take(self.points, point, better)
        self._right = torch.where(better, right, self._right)
        self._loss = torch.where(better, loss, self._loss)


def loss_of(task: Task, loss: PlaceLoss) -> Loss:
    """Return the loss of that name, a mean over all places."""
    if loss == "divergence":
        return lambda outputs, y: divergence(task.places(task.to_leave(outputs, y), y).at_target).mean(dim=1)
    return WeighedObjective(task, targeted=False, weights=masked if loss == "masked" else balanced)


def masked(places: Places) -> Tensor:
    """Return weights (N, P): 1 for places that are still right, else 0."""
    return places.right.to(places.losses)


def balanced(places: Places) -> Tensor:
    """Return weights (N, P) of places that are still right, by which every class counts as if its places were all."""
    if places.kinds is None:
        return masked(places)
    often = torch.zeros(len(places.losses), int(places.kinds.max()) + 1, device=places.losses.device)
    often.scatter_add_(1, places.kinds, torch.ones_like(often[:, :1]).expand_as(places.losses))
    return masked(places) * places.losses.shape[1] / often.gather(1, places.kinds)


def divergence(log_probability: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence, in 0..log 2, between an output and its target.

    It depends only on the log-probability that the output gives to the target.
    """
    sure, log2 = log_probability.exp(), math.log(2)
    of_answer = sure * (log2 + log_probability - sure.log1p()) + (1 - sure) * log2
    return (of_answer + log2 - sure.log1p()) / 2
