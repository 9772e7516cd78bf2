"""Universal perturbation by ascent of the loss (Shafahi et al. 2020, https://arxiv.org/abs/1811.11304).

The attack half of Universal Adversarial Training. With the task's own images it is the reference for what one
perturbation can do at all; data-free attacks are measured against it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.attack import Access
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.norms import Norm, project, steepest
from ...core.registry import register_attack
from ...core.seeding import Draws
from ...core.universal_attack import CraftingData, Prior, UniversalAttack
from .._gradient import check_differentiable, loss_and_gradient
from .._losses import Objective, class_count
from ._validation import UNJUDGED, BestSoFar, predictions
from .priors import images_to_fool


@register_attack("universal-pgd")
@dataclass(frozen=True, kw_only=True)
class UniversalPGD(UniversalAttack):
    """Steepest ascent of the loss over one perturbation, summed over `batch_size` images at a time.

    The loss is against the model's own predictions, and that of each image is limited to `clamp`: an image that is
    fooled already pulls no further (the paper's 9; infinite for the plain loss). It is the task's objective: for class
    scores the log-odds, which are the paper's cross-entropy where an image is fooled, and have a gradient where the
    network is sure, too. With `target`, a class index, minus the loss towards this class is ascended. `step_size` is in
    pixel space; None means a fifth of eps.

    Every `validate_every` iterations the fooling rate on the substitute images (with `target`, the share that is given
    that class) decides about a new best; `patience` validations in a row without one end the search.
    """

    prior: Prior = "data"
    target: int | None = None
    batch_size: int = 64
    step_size: float | None = None
    clamp: float = 9.0
    max_iterations: int = 500
    patience: int = 5
    validate_every: int = 25

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    may_be_infinite: ClassVar[tuple[str, ...]] = ("eps", "clamp")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_size", "clamp", "max_iterations", "patience", "validate_every"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"Expected {name} > 0, got {getattr(self, name)}.")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise ConfigError(f"Expected a finite step_size > 0, or none, got {self.step_size}.")

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.prior != "none"  # without a prior there is one image, and no random choice

    @property
    def needs_class_scores(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.target is not None

    @property
    def validations(self) -> int:
        return math.ceil(self.max_iterations / self.validate_every)

    def search(self, model: Model, data: CraftingData, *, rng: Draws) -> Tensor:
        check_differentiable(model)
        images = images_to_fool(self.prior, model, data, rng.fork("pool"))
        labels = self._labels(model, images)
        data.progress(0, self.max_iterations, UNJUDGED)
        best = BestSoFar(model, data.validation, self.target)
        length, rows = self.step_size or self.eps / 5, rng.fork("batches")
        delta, done = torch.zeros_like(images[:1]), 0
        if state := data.checkpoint.load():
            best.restore(state)
            delta, done = state["delta"], int(state["iteration"])
        for iteration in range(done + 1, self.max_iterations + 1):
            batch = rows.fork(iteration).integers(len(images), (min(self.batch_size, len(images)),))[0]
            draws = rows.fork(f"draws {iteration}").split(len(batch))
            gradient = self._gradient(model, delta, images[batch], labels[batch], draws)
            delta = project(delta + length * steepest(gradient, self.norm), self.norm, self.eps)
            due = iteration % self.validate_every == 0 or iteration == self.max_iterations
            if due:
                best.offer(delta[0])
            data.progress(iteration, self.max_iterations, best.rate)
            if best.failures == self.patience:
                break
            if due:
                data.checkpoint.save(best.state() | {"delta": delta, "iteration": torch.tensor(iteration)})
        return best.delta

    def _labels(self, model: Model, images: Tensor) -> Tensor:
        if self.target is None:
            return predictions(model, images)
        if not 0 <= self.target < class_count(model):
            raise ConfigError(f"Expected target in 0..{class_count(model) - 1} or none, got {self.target}.")
        return torch.full((len(images),), self.target, device=images.device)

    def _gradient(self, model: Model, delta: Tensor, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
        """Return the gradient of the objective with respect to `delta` (1, C, H, W)."""
        moved = x + delta
        images = moved.clamp(0, 1)
        loss = Objective(model.task, targeted=self.target is not None, most=self.clamp)
        _, gradient, _ = loss_and_gradient(model, images, y, rng=rng, loss=loss)
        return (gradient * (images == moved)).sum(dim=0, keepdim=True)  # clipped values do not follow delta
