"""Defenses: from a model to a defended model, which is a model again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .errors import ConfigError
from .images import check_images
from .learned import Learned
from .model import Model
from .seeding import Draws, as_draws


@dataclass(frozen=True, kw_only=True)
class Defense(ABC):
    """A frozen configuration whose repr is its identity.

    `differentiable`: gradients through the defended model are those of its forward pass. `randomized`: two evaluations
    of one image may differ; the randomness comes from the streams of `rng` only.
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]

    @abstractmethod
    def defend(self, model: Model) -> Model:
        """The defended system. `model` itself stays as it is."""

    def fit(self, images: Tensor, *, model: Model, seed: int = 0) -> "Defense":
        """This defense with every part that learns fitted to training images (N, C, H, W) of the task.

        A run with the same images, model and seed learns the same. One that learns nothing comes back as it is. Raises
        InputError for anything but images.
        """
        Model.check_is(model)
        check_images(images)
        data = LearningData(images=images, model=model)
        return self.with_learned(lambda part: part.taught(data, seed))

    def with_learned(self, learned: "Callable[[LearnedTransform], Learned]") -> "Defense":
        """This defense with what `learned` has for each part that learns."""
        return self


@dataclass(frozen=True, kw_only=True)
class InputTransform(Defense):
    """The common kind: images are transformed before the model sees them."""

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
        """What an adaptive attack may differentiate in place of `transform`, by name, each called as `surrogate` is.

        A single attack takes the gradient of a differentiable transform itself, else that of the first of these;
        `adaptive-ensemble` tries them all. A transform that is differentiable needs none.
        """
        return {} if self.differentiable else {"surrogate": self.surrogate}

    @property
    def valued(self) -> Collection[str]:
        """Names of the surrogates whose value is that of `transform` to the last bit: it need not be computed too."""
        return ()

    def __call__(self, x: Tensor, *, rng: Draws | torch.Generator | int | None = None) -> Tensor:
        """`transform` on checked images; `rng` as for an attack. Raises InputError for anything but images."""
        check_images(x)
        return self.transform(x, rng=as_draws(rng, len(x), x.device))

    def defend(self, model: Model) -> Model:
        Model.check_is(model)
        return model.behind(self)


@dataclass(frozen=True, kw_only=True)
class LearningData:
    """What a defense may look at while it learns.

    `images` (N, C, H, W) in [0, 1] are the task's training images, `model` is what the defense will stand before; all
    parts of a chain are given the same two. `progress` is told (steps done, of how many).
    """

    images: Tensor
    model: Model
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, kw_only=True)
class LearnedTransform(Defense):
    """The configuration of an input transform that learns from the task's training images.

    `training_images`: a run gives it at most so many, all that the data set has where there are fewer.
    `needs_model`: what it learns depends on the model, not on the images alone.
    """

    training_images: int = 512

    needs_model: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.training_images < 1:
            raise ConfigError(f"Expected training_images >= 1, got {self.training_images}.")

    def taught(self, data: LearningData, seed: int) -> Learned:
        """What it learns under a seed."""
        return Learned(self.learn(data, rng=Draws.of(seed, "learning", samples=[0], device=data.images.device)))

    @abstractmethod
    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """What `transform` needs, by name; `rng` has a single stream."""

    @abstractmethod
    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """As `InputTransform.transform`, with what was learned, on the device of `x`."""

    def surrogate(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """As `InputTransform.surrogate`."""
        return x

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """As `InputTransform.surrogates`, each called as `surrogate` is."""
        return {} if self.differentiable else {"surrogate": self.surrogate}

    @property
    def valued(self) -> Collection[str]:
        """As `InputTransform.valued`."""
        return ()

    def with_learned(self, learned: "Callable[[LearnedTransform], Learned]") -> "FittedTransform":
        return FittedTransform(configuration=self, learned=learned(self))

    def defend(self, model: Model) -> Model:
        raise ConfigError(
            f"{self!r} learns from images: call fit(images, model=model) first, and defend with the result."
        )


@dataclass(frozen=True, kw_only=True)
class FittedTransform(InputTransform):
    """A learned transform with what it has learned."""

    configuration: LearnedTransform
    learned: Learned

    @property
    def differentiable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (that of another class)
        return self.configuration.differentiable

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.configuration.randomized

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        return self.configuration.transform(x, self.learned.on(x.device), rng=rng)

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        return self.configuration.surrogate(x, self.learned.on(x.device), rng=rng)

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {name: self._bound(surrogate) for name, surrogate in self.configuration.surrogates.items()}

    @property
    def valued(self) -> Collection[str]:
        return self.configuration.valued

    def _bound(self, surrogate: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """With what was learned."""
        return lambda x, *, rng: surrogate(x, self.learned.on(x.device), rng=rng)
