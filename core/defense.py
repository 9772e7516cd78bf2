"""The base classes of defenses, which turn a model into a defended model."""

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
from .place import ALONE, Place, Teacher
from .seeding import Draws, as_draws
from .shell import Inside
from .straight_through import with_gradient_of
from .task import Task

if TYPE_CHECKING:
    from .learned import Learned
    from .learned_defense import LearnedDefense


@dataclass(frozen=True, kw_only=True)
class Defense(ABC):
    """A defense: a frozen configuration that turns a model into a defended model. Its repr is its identity.

    `differentiable`: autograd through the defended model gives the gradient of its forward pass. `randomized`: two
    evaluations of one image may differ; the randomness comes from the streams of `rng` only. `needs_class_scores`: the
    defense applies to image recognition only, because it distorts what an image shows or decides between classes.
    `abstains`: the defended system may reject an image; its outputs have one more logit for that, the last
    (`tasks.AbstainingRecognition`).
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]
    needs_class_scores: ClassVar[bool] = False
    abstains: ClassVar[bool] = False

    @abstractmethod
    def defend(self, model: Model) -> Model:
        """Return the defended model; `model` itself stays unchanged."""

    def check_task(self, task: Task) -> None:
        """Raise ConfigError for a task that the defense does not apply to."""
        if self.needs_class_scores and task.class_scores is None:
            raise ConfigError(
                f"{self!r} distorts what an image shows, or decides between classes: expected a model of image "
                f"recognition, got one for {task}."
            )

    def fit(self, images: Tensor, labels: Tensor | None = None, *, model: Model, seed: int = 0) -> "Defense":
        """Return this defense with every part that learns fitted to training images (N, C, H, W) in [0, 1] of the task.

        A defense that learns nothing is returned unchanged. The same images, labels, model and seed give the same
        result. Raises InputError for invalid images and for labels that do not fit the model's task, ConfigError for a
        task that the defense does not apply to.
        """
        Model.check_is(model)
        self.check_task(model.task)
        check_images(images)
        if labels is not None:
            model.task.check_targets(labels, len(images))
        data = LearningData(images=images, labels=labels, model=model)

        def learned(part: "LearnedDefense", place: Place = ALONE) -> "Learned":
            return part.taught(place.seen(data, seed), seed)

        return self.with_learned(learned)

    def with_learned(self, learned: Teacher) -> "Defense":
        """Return this defense with each part that learns fitted to the tensors that `learned` returns for it."""
        return self


@dataclass(frozen=True, kw_only=True)
class LearningData:
    """The data that a defense may use while it learns.

    `images` (N, C, H, W) in [0, 1] are the task's training images, `labels` their targets if known, `model` is the
    model to defend; in a chain, both may be what the part meets at its `Place`. `progress` is called with (steps done,
    number of steps).
    """

    images: Tensor
    model: Model
    labels: Tensor | None = None
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, kw_only=True)
class ShellDefense(Defense):
    """A defense that wraps the model in a shell: the base of `InputTransform` and `NetworkDefense`."""

    @property
    @abstractmethod
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """Differentiable surrogates of what the defense computes, by name, for adaptive attacks (BPDA).

        Each is called like the method that it replaces. A single attack uses the exact gradient of a differentiable
        defense, otherwise that of the first surrogate; `adaptive-ensemble` tries them all.
        """

    @property
    def valued(self) -> Collection[str]:
        """Names of the surrogates whose value equals the method's to the last bit, which need not run then."""
        return ()

    @abstractmethod
    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        """Return the system's outputs for images (N, C, H, W) in [0, 1]; `rng` holds one stream per image."""

    @abstractmethod
    def answer_along(self, surrogate: str, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        """Return the outputs of `answer`, equal to the last bit, with the gradient of the named surrogate."""

    def defend(self, model: Model) -> Model:
        Model.check_is(model)
        self.check_task(model.task)
        return model.behind(self)

    def _along(
        self, surrogate: str, stand_in: Callable[..., Tensor], own: Callable[..., Tensor], x: Tensor, *, rng: Draws
    ) -> Tensor:
        """Return the value of `own` with the gradient of `stand_in`; both take the same arguments."""
        if surrogate in self.valued:
            return stand_in(x, rng=rng)
        traced, exact = stand_in(x, rng=rng[:]), own(x.detach(), rng=rng)
        if traced.shape != exact.shape:
            shapes = f"{tuple(traced.shape)} and {tuple(exact.shape)}"
            raise ConfigError(f"Expected {self!r} and its surrogate to give one shape, got {shapes}.")
        return with_gradient_of(traced, exact)


@dataclass(frozen=True, kw_only=True)
class InputTransform(ShellDefense):
    """A defense that transforms images before the model sees them, the most common kind.

    A transform that moves image content, as a crop does, overrides `back`, which moves outputs that are maps back to
    the image's own pixels.
    """

    @abstractmethod
    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        """Return transformed images in [0, 1] for images (N, C, H, W), on the same device.

        `rng` holds one stream per image. A result (N, V, C, H, W) has V views of each image: the system's output is the
        task's average of the outputs for them.
        """

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        """Return a differentiable approximation of `transform`, whose gradient adaptive attacks use (BPDA).

        It returns the same shape as `transform` and gets the same streams; the identity unless overridden.
        """
        return x

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """Surrogates by name, each called like `surrogate`; a differentiable transform needs none."""
        return {} if self.differentiable else {"surrogate": self.surrogate}

    def back(self, maps: Tensor, *, rng: Draws) -> tuple[Tensor, Tensor]:
        """Move maps (N, V, C, H, W) for the transformed images back to the pixels of the original images.

        Returns the maps, and a bool mask (N, V, H, W) of the pixels that each view shows; V is 1 if there are no views.
        `rng` holds the streams that the transform got. Unless overridden, maps stay as they are and every pixel is
        shown.
        """
        return maps, torch.ones_like(maps[:, :, 0], dtype=torch.bool)

    def __call__(self, x: Tensor, *, rng: Draws | torch.Generator | int | None = None) -> Tensor:
        """Return `transform` of checked images; `rng` as for an attack. Raises InputError for invalid images."""
        check_images(x)
        return self.transform(x, rng=as_draws(rng, len(x), x.device))

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        again = rng[:] if self._moves else rng
        return self._answered(inside, self.transform(x, rng=rng), again)

    def answer_along(self, surrogate: str, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        """Return the outputs; the loss is differentiated at the transformed image, and the surrogate at the image."""
        again = rng[:] if self._moves else rng
        seen = self._along(surrogate, self.surrogates[surrogate], self.transform, x, rng=rng)
        return self._answered(inside, seen, again)

    @property
    def _moves(self) -> bool:
        return type(self).back is not InputTransform.back

    def _answered(self, inside: Inside, seen: Tensor, again: Draws) -> Tensor:
        """Return the outputs for transformed images; `again` are the streams that the transform got."""
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
        shown = shown | ~shown.any(dim=1, keepdim=True)  # a pixel that no view shows is averaged over all of them
        return inside.task.average(found.reshape(outputs.shape), shown)


@dataclass(frozen=True, kw_only=True)
class NetworkDefense(ShellDefense):
    """A defense that changes what the network computes inside, or what is made of its outputs.

    `answer` gets the undefended outputs by calling `inside(x)`, any number of times, and may change layers of
    `inside.net` meanwhile (`rewired`). Each of `surrogates` is called like `answer`.
    """

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {}

    def answer_along(self, surrogate: str, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        stand_in, own = partial(self.surrogates[surrogate], inside.anew()), partial(self.answer, inside)
        return self._along(surrogate, stand_in, own, x, rng=rng)
