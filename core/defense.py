"""Defenses: from a model to a defended model, which is a model again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from .errors import ConfigError
from .images import check_images
from .model import Model
from .seeding import Draws, as_draws
from .shell import Inside
from .straight_through import with_gradient_of
from .task import Task

if TYPE_CHECKING:
    from .learned import Learned
    from .learned_defense import LearnedDefense


@dataclass(frozen=True, kw_only=True)
class Defense(ABC):
    """A frozen configuration whose repr is its identity.

    `differentiable`: gradients through the defended model are those of its forward pass. `randomized`: two evaluations
    of one image may differ; the randomness comes from the streams of `rng` only. `needs_class_scores`: it makes sense
    only where an image has one class, for it distorts what it shows, or decides between classes. `abstains`: its system
    may reject an image; the outputs have one logit more for that, the last (`tasks.AbstainingRecognition`).
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]
    needs_class_scores: ClassVar[bool] = False
    abstains: ClassVar[bool] = False

    @abstractmethod
    def defend(self, model: Model) -> Model:
        """The defended system. `model` itself stays as it is."""

    def check_task(self, task: Task) -> None:
        """Raise ConfigError for a task that the defense makes no sense for."""
        if self.needs_class_scores and task.class_scores is None:
            raise ConfigError(
                f"{self!r} distorts what an image shows, or decides between classes: expected a model of image "
                f"recognition, got one for {task}."
            )

    def fit(self, images: Tensor, labels: Tensor | None = None, *, model: Model, seed: int = 0) -> "Defense":
        """This defense with every part that learns fitted to training images (N, C, H, W) of the task.

        A run with the same images, labels, model and seed learns the same. One that learns nothing comes back as it is.
        Raises InputError for anything but images, and for labels that are none of the model's task.
        """
        Model.check_is(model)
        check_images(images)
        if labels is not None:
            model.task.check_targets(labels, len(images))
        data = LearningData(images=images, labels=labels, model=model)
        return self.with_learned(lambda part: part.taught(data, seed))

    def with_learned(self, learned: "Callable[[LearnedDefense], Learned]") -> "Defense":
        """This defense with what `learned` has for each part that learns."""
        return self


@dataclass(frozen=True, kw_only=True)
class LearningData:
    """What a defense may look at while it learns.

    `images` (N, C, H, W) in [0, 1] are the task's training images, `labels` their targets where they are known, `model`
    is what the defense will stand around; all parts of a chain are given the same. `progress` is told (steps done, of
    how many).
    """

    images: Tensor
    model: Model
    labels: Tensor | None = None
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, kw_only=True)
class ShellDefense(Defense):
    """A defense that stands around the model as a shell; `InputTransform` and `NetworkDefense` are its kinds."""

    @property
    @abstractmethod
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """What an adaptive attack may differentiate in place of what the defense computes, by name.

        Each is called as the method that it stands in for. A single attack takes the gradient of a differentiable
        defense itself, else that of the first of these; `adaptive-ensemble` tries them all.
        """

    @property
    def valued(self) -> Collection[str]:
        """Names of the surrogates whose value is that of the method to the last bit: it need not be computed too."""
        return ()

    @abstractmethod
    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        """The system's outputs for images (N, C, H, W) in [0, 1]; `rng` holds one stream per image."""

    @abstractmethod
    def answer_along(self, surrogate: str, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        """The same outputs to the last bit, with the gradient of a surrogate."""

    def defend(self, model: Model) -> Model:
        Model.check_is(model)
        self.check_task(model.task)
        return model.behind(self)

    def _along(
        self, surrogate: str, stand_in: Callable[..., Tensor], own: Callable[..., Tensor], x: Tensor, *, rng: Draws
    ) -> Tensor:
        """What `own` gives, with the gradient of what stands in for it; both are called alike."""
        if surrogate in self.valued:
            return stand_in(x, rng=rng)
        traced, exact = stand_in(x, rng=rng[:]), own(x.detach(), rng=rng)
        if traced.shape != exact.shape:
            shapes = f"{tuple(traced.shape)} and {tuple(exact.shape)}"
            raise ConfigError(f"Expected {self!r} and its surrogate to give one shape, got {shapes}.")
        return with_gradient_of(traced, exact)


@dataclass(frozen=True, kw_only=True)
class InputTransform(ShellDefense):
    """The common kind: images are transformed before the model sees them.

    One that moves what an image shows brings answers that are maps `back` to the image's own pixels.
    """

    @abstractmethod
    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to images in [0, 1], on the same device; `rng` holds one stream per image.

        (N, V, C, H, W) are V views of each image: the system's output is the mean of the model's outputs for them.
        """

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        """What an adaptive attack differentiates in place of a `transform` that has no useful gradient (BPDA).

        A differentiable map of the same shape that is near to the transform; the identity unless overridden. `rng`
        holds the streams that the transform got.
        """
        return x

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """As of every shell, each called as `surrogate` is. A transform that is differentiable needs none."""
        return {} if self.differentiable else {"surrogate": self.surrogate}

    def back(self, maps: Tensor, *, rng: Draws) -> tuple[Tensor, Tensor]:
        """Maps (N, V, C, H, W) of what `transform` shows, as maps of the images, and which of their pixels (N, V, H, W)
        each view shows. V is 1 where there are no views; `rng` holds the streams that the transform got.

        As they are, unless overridden.
        """
        return maps, torch.ones_like(maps[:, :, 0], dtype=torch.bool)

    def __call__(self, x: Tensor, *, rng: Draws | torch.Generator | int | None = None) -> Tensor:
        """`transform` on checked images; `rng` as for an attack. Raises InputError for anything but images."""
        check_images(x)
        return self.transform(x, rng=as_draws(rng, len(x), x.device))

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        again = rng[:] if self._moves else rng
        return self._answered(inside, self.transform(x, rng=rng), again)

    def answer_along(self, surrogate: str, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        """The loss is differentiated at the transformed image, and the surrogate at the image."""
        again = rng[:] if self._moves else rng
        seen = self._along(surrogate, self.surrogates[surrogate], self.transform, x, rng=rng)
        return self._answered(inside, seen, again)

    @property
    def _moves(self) -> bool:
        return type(self).back is not InputTransform.back

    def _answered(self, inside: Inside, seen: Tensor, again: Draws) -> Tensor:
        """`again` are the streams that the transform got."""
        if not self._moves or inside.task.class_scores is not None:
            return inside(seen)
        outputs = inside.of_views(seen if seen.ndim == 5 else seen[:, None])
        if outputs.shape[-2:] != seen.shape[-2:]:
            raise ConfigError(
                f"{self!r} moves what images show, and moves maps back: expected maps of their size "
                f"{tuple(seen.shape[-2:])}, got {tuple(outputs.shape[-2:])}; enlarge them in the network."
            )
        maps = outputs if outputs.ndim == 5 else outputs[:, :, None]
        found, shown = self.back(maps, rng=again)
        shown = shown | ~shown.any(dim=1, keepdim=True)  # where no view shows anything, all of them guess
        return inside.task.average(found.reshape(outputs.shape), shown)


@dataclass(frozen=True, kw_only=True)
class NetworkDefense(ShellDefense):
    """The other kind: the network computes something else inside, or something else is made of what it computes.

    `answer` gets its outputs by calling `inside(x)`, as often as it likes, and may change layers of `inside.net`
    meanwhile (`rewired`). Each of `surrogates` is called as `answer` is.
    """

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {}

    def answer_along(self, surrogate: str, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        stand_in, own = partial(self.surrogates[surrogate], inside.anew()), partial(self.answer, inside)
        return self._along(surrogate, stand_in, own, x, rng=rng)
