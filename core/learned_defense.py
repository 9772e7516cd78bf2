"""Defenses that learn from the task's training images: their configurations, and the fitted defenses."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from torch import Tensor

from .defense import Defense, InputTransform, LearningData, NetworkDefense, ShellDefense
from .errors import ConfigError
from .learned import Learned
from .model import Model
from .place import Teacher
from .seeding import Draws
from .shell import Inside
from .task import Task


@dataclass(frozen=True, kw_only=True)
class LearnedDefense(Defense):
    """The configuration of a defense that learns from the task's training images.

    `training_images` is the largest number of them that a run uses. `needs_model`: what the defense learns depends on
    the model, not on the images alone.
    """

    training_images: int = 512

    needs_model: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.training_images < 1:
            raise ConfigError(f"Expected training_images >= 1, got {self.training_images}.")

    def taught(self, data: LearningData, seed: int) -> Learned:
        """Return what the defense learns from `data` under a seed.

        Raises ConfigError if it asks the model without `needs_model`.
        """
        rng = Draws.of(seed, "learning", samples=[0], device=data.images.device)
        return Learned(self.learn(self.shown(data), rng=rng))

    def shown(self, data: LearningData) -> LearningData:
        """Return what `learn` gets: without `needs_model`, in the model's place something that refuses to be asked."""
        return data if self.needs_model else replace(data, model=cast(Model, _Unasked(type(self).__name__)))

    @abstractmethod
    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Return what the defense learns, as named tensors; `rng` has a single stream."""

    @property
    @abstractmethod
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """Surrogates by name, like `ShellDefense.surrogates`, each with `learned` as an argument after the images."""

    @property
    def valued(self) -> Collection[str]:
        """Names of the surrogates with the exact value, like `ShellDefense.valued`."""
        return ()

    @abstractmethod
    def with_learned(self, learned: Teacher) -> "FittedDefense": ...

    def defend(self, model: Model) -> Model:
        raise ConfigError(
            f"{self!r} learns from images: call fit(images, model=model) first, and defend with the result."
        )


class _Unasked:
    """Stands in for the model where what is learned is kept for all models alike."""

    def __init__(self, learner: str) -> None:
        self._learner = learner

    def __getattr__(self, name: str) -> Any:
        raise ConfigError(
            f"{self._learner} asks the model for {name} while it learns; add needs_model = True to it, or what one "
            "network taught it would be used for all."
        )


@dataclass(frozen=True, kw_only=True)
class LearnedTransform(LearnedDefense):
    """An input transform that learns from training images."""

    @abstractmethod
    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """Return transformed images, like `InputTransform.transform`; `learned` is on the device of `x`."""

    def surrogate(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """Return a differentiable approximation of `transform`, like `InputTransform.surrogate`."""
        return x

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {} if self.differentiable else {"surrogate": self.surrogate}

    def with_learned(self, learned: Teacher) -> "FittedTransform":
        return FittedTransform(configuration=self, learned=learned(self))


@dataclass(frozen=True, kw_only=True)
class LearnedNetworkDefense(LearnedDefense):
    """A defense in or after the network that learns from training images."""

    @abstractmethod
    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """Return the system's outputs, like `NetworkDefense.answer`; `learned` is on the device of `x`."""

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {}

    def with_learned(self, learned: Teacher) -> "FittedNetworkDefense":
        return FittedNetworkDefense(configuration=self, learned=learned(self))


@dataclass(frozen=True, kw_only=True)
class FittedDefense(ShellDefense):
    """A fitted defense: its configuration and what it has learned."""

    configuration: LearnedDefense
    learned: Learned

    @property
    def differentiable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (that of another class)
        return self.configuration.differentiable

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.configuration.randomized

    @property
    def needs_class_scores(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.configuration.needs_class_scores

    @property
    def abstains(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.configuration.abstains

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {name: self._bound(surrogate) for name, surrogate in self.configuration.surrogates.items()}

    @property
    def valued(self) -> Collection[str]:
        return self.configuration.valued

    def check_task(self, task: Task) -> None:
        self.configuration.check_task(task)

    def _bound(self, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a method with the learned tensors passed after the images, the last positional argument."""
        return lambda *given, rng: method(*given, self.learned.on(given[-1].device), rng=rng)


@dataclass(frozen=True, kw_only=True)
class FittedTransform(FittedDefense, InputTransform):  # pyright: ignore[reportIncompatibleVariableOverride] (as above)
    """A fitted input transform: its configuration and what it has learned."""

    configuration: LearnedTransform

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        return self._bound(self.configuration.transform)(x, rng=rng)

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        return self._bound(self.configuration.surrogate)(x, rng=rng)


@dataclass(frozen=True, kw_only=True)
class FittedNetworkDefense(FittedDefense, NetworkDefense):  # pyright: ignore[reportIncompatibleVariableOverride] (as above)
    """A fitted defense in or after the network: its configuration and what it has learned."""

    configuration: LearnedNetworkDefense

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        return self._bound(self.configuration.answer)(inside, x, rng=rng)
