"""Defenses that learn from the task's training images: their configuration, and what they are once they have."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .defense import Defense, InputTransform, LearningData, NetworkDefense, ShellDefense
from .errors import ConfigError
from .learned import Learned
from .model import Model
from .seeding import Draws
from .shell import Inside


@dataclass(frozen=True, kw_only=True)
class LearnedDefense(Defense):
    """The configuration of a defense that learns from the task's training images.

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
        """What it needs, as named tensors; `rng` has a single stream."""

    @property
    @abstractmethod
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        """As of a defense that has learned, each with `learned` after the images."""

    @property
    def valued(self) -> Collection[str]:
        """As of a defense that has learned."""
        return ()

    @abstractmethod
    def with_learned(self, learned: "Callable[[LearnedDefense], Learned]") -> "FittedDefense": ...

    def defend(self, model: Model) -> Model:
        raise ConfigError(
            f"{self!r} learns from images: call fit(images, model=model) first, and defend with the result."
        )


@dataclass(frozen=True, kw_only=True)
class LearnedTransform(LearnedDefense):
    """An input transform that learns."""

    @abstractmethod
    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """As `InputTransform.transform`, with what was learned, on the device of `x`."""

    def surrogate(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """As `InputTransform.surrogate`."""
        return x

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {} if self.differentiable else {"surrogate": self.surrogate}

    def with_learned(self, learned: Callable[[LearnedDefense], Learned]) -> "FittedTransform":
        return FittedTransform(configuration=self, learned=learned(self))


@dataclass(frozen=True, kw_only=True)
class LearnedNetworkDefense(LearnedDefense):
    """A defense in or after the network that learns."""

    @abstractmethod
    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """As `NetworkDefense.answer`, with what was learned, on the device of `x`."""

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {}

    def with_learned(self, learned: Callable[[LearnedDefense], Learned]) -> "FittedNetworkDefense":
        return FittedNetworkDefense(configuration=self, learned=learned(self))


@dataclass(frozen=True, kw_only=True)
class FittedDefense(ShellDefense):
    """A defense that learns with what it has learned."""

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

    def _bound(self, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """With what was learned after the images, which are the last that it is given."""
        return lambda *given, rng: method(*given, self.learned.on(given[-1].device), rng=rng)


@dataclass(frozen=True, kw_only=True)
class FittedTransform(FittedDefense, InputTransform):  # pyright: ignore[reportIncompatibleVariableOverride] (as above)
    """A learned transform with what it has learned."""

    configuration: LearnedTransform

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        return self._bound(self.configuration.transform)(x, rng=rng)

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        return self._bound(self.configuration.surrogate)(x, rng=rng)


@dataclass(frozen=True, kw_only=True)
class FittedNetworkDefense(FittedDefense, NetworkDefense):  # pyright: ignore[reportIncompatibleVariableOverride] (as above)
    """A learned defense in or after the network, with what it has learned."""

    configuration: LearnedNetworkDefense

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        return self._bound(self.configuration.answer)(inside, x, rng=rng)
