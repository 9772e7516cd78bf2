"""UAP: universal adversarial perturbations (Moosavi-Dezfooli et al. 2017, https://arxiv.org/abs/1610.08401)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.attack import Access
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.norms import Norm, project
from ...core.registry import register_attack
from ...core.seeding import Draws
from ...core.universal_attack import CraftingData, Prior, UniversalAttack
from ..deepfool import DeepFool
from ._validation import BestSoFar, predictions
from .priors import images_to_fool


@register_attack("uap")
@dataclass(frozen=True, kw_only=True)
class UAP(UniversalAttack):
    """Add up the smallest perturbations (L2, by DeepFool) that move one image after the other out of its class.

    With `batch_size=1` this is the paper's algorithm: an image that the perturbation does not fool adds the smallest
    further change that would, and the sum is projected. With more, DeepFool runs on a batch of perturbed images, and
    the n changes found are added together, times the root of n: as far as n single updates go that do not agree. Under
    L2 that sum is no longer than eps, or the projection would leave little of what was found before. Where a
    perturbation fools many images at all, batches fool as many as single images; under an L2 budget that fools few,
    they fool fewer, and `batch_size=1` is the better choice.

    The search ends when a share `target_rate` of the crafting images is fooled, or after `passes` over them; of the
    perturbations after each pass, the result is the one with the highest fooling rate on the substitute images.

    `classes`, `overshoot` and `steps` are DeepFool's; an image on which that fails adds nothing. The paper crafts on
    the task's images. Noise (prior range) tells it little, and without images ("none") it does not converge: there is
    one image to fool, and nothing to do once that is.
    """

    prior: Prior = "data"
    batch_size: int = 64
    target_rate: float = 0.8
    passes: int = 10
    classes: int = 10
    overshoot: float = 0.02
    steps: int = 10

    access: ClassVar[Access] = "gradient"
    needs_class_scores: ClassVar[bool] = True
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1 or self.passes < 1:
            raise ConfigError(f"Expected batch_size >= 1 and passes >= 1, got {self.batch_size} and {self.passes}.")
        if not 0 < self.target_rate <= 1:
            raise ConfigError(f"Expected target_rate in (0, 1], got {self.target_rate}.")
        self._nearest_boundary()  # checks the parameters of DeepFool

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.prior != "none"  # without a prior there is one image, and no random choice

    def search(self, model: Model, data: CraftingData, *, rng: Draws) -> Tensor:
        images = images_to_fool(self.prior, model, data, rng.fork("pool"))
        labels = predictions(model, images)
        best = BestSoFar(model, data.validation)
        delta, done = torch.zeros_like(images[0]), 0
        if state := data.checkpoint.load():
            best.restore(state)
            delta, done = state["delta"], int(state["iteration"])
        batches = math.ceil(len(images) / self.batch_size)
        limit = self.passes * batches
        data.progress(done, limit, best.rate)
        for lap in range(done // batches + 1, self.passes + 1):
            order = rng.fork(lap).uniform((len(images),))[0].argsort(stable=True)
            draws = rng.fork(f"draws {lap}").split(len(images))
            for rows in order.split(self.batch_size)[done % batches :]:
                delta, done = self._update(model, delta, images[rows], labels[rows], draws[rows]), done + 1
                ends_pass = done % batches == 0
                if ends_pass:
                    best.offer(delta)
                data.progress(done, limit, best.rate)
                if ends_pass and self._reaches_target(model, delta, images, labels):
                    return best.delta  # before the state is saved: a resumed search repeats this batch, and stops here
                data.checkpoint.save(best.state() | {"delta": delta, "iteration": torch.tensor(done)})
        return best.delta

    def _reaches_target(self, model: Model, delta: Tensor, images: Tensor, labels: Tensor) -> bool:
        agreement = model.task.agreement(predictions(model, images, delta), labels)
        return bool((1 - agreement).mean() >= self.target_rate)

    def _nearest_boundary(self) -> DeepFool:
        return DeepFool(classes=self.classes, overshoot=self.overshoot, steps=self.steps)

    def _update(self, model: Model, delta: Tensor, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
        """Return `delta` after a batch; an image that it fools already adds nothing."""
        start = (x + delta).clamp(0, 1)
        changes = self._nearest_boundary().minimize(model, start, y, rng=rng) - start
        found = int((changes != 0).flatten(1).any(dim=1).sum())
        if not found:
            return delta
        update = found**0.5 * changes.sum(dim=0, keepdim=True)
        if self.norm == "l2":
            update = project(update, self.norm, self.eps)
        return project(delta + update, self.norm, self.eps)[0]
