"""What a model's output means: its loss, its decoded prediction, its metrics, and when an attack has got its way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import ConfigError

Numbers = NDArray[np.float64]
Statistics = Callable[[Tensor, Tensor], Tensor]
"""(prediction, reference) to what each image contributes to a metric: (N,) or (N, S), none of it negative."""
Value = Callable[[Numbers], Numbers]
"""Statistics (..., S) of one image, or their sum over several, to the metric (...)."""
Align = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(predictions, reference, the same system's clean predictions) to the predictions that are compared."""
T = TypeVar("T", float, Numbers, Tensor)


def _as_they_are(prediction: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
    return prediction


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How well predictions agree with a reference, over a set of images.

    It is a function of what adds up over images: `statistics` are what each contributes, and `value` makes the metric
    of their sum. Without a `value` they are the metric itself, (N,), of which a set has the mean. The metric lies in
    [0, range]; larger is better unless it is an `error`. `proportion` says that every image scores either 0 or `range`,
    so that the mean is a proportion with a Wilson interval; `separable` that a set has its lowest value where every
    image has its own, as any mean does. `align` changes predictions before they are compared.

    Metrics of one task with the same statistics and alignment name them alike, `kept_as`, and the ledger has them once.
    """

    statistics: Statistics
    value: Value | None = None
    range: float = 1.0
    error: bool = False
    proportion: bool = False
    separable: bool = False
    align: Align = _as_they_are
    kept_as: str | None = None

    @property
    def is_mean(self) -> bool:
        return self.value is None

    def of_images(self, statistics: Numbers) -> Numbers:
        """The metric of each image alone, (N,)."""
        return statistics if self.value is None else self.value(statistics)

    def of_set(self, statistics: Numbers) -> float:
        """The metric of all images together."""
        return float(statistics.mean() if self.value is None else self.value(statistics.sum(axis=0)))

    def per_image(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """Predictions against a reference, (N,), as they are: not aligned."""
        found = self.statistics(prediction, reference)
        return found if self.value is None else torch.from_numpy(self.value(found.double().cpu().numpy()))

    def share(self, values: T) -> T:
        """Of the range, in 0..1: 1 is the best that can be, also of an error."""
        return 1 - values / self.range if self.error else values / self.range

    def lack(self, values: T) -> T:
        """What is missing to the best, in 0..1: the fooling rate, where a system is compared with itself."""
        return (values if self.error else self.range - values) / self.range


class Places(NamedTuple):
    """An image's answer place by place, (N, P) each: the pixels of a map, or one place for an image with one answer.

    `losses` have a gradient and are 0 where the target says nothing; `right` says where the answer is as the target has
    it, or near enough; `alignment`, in [-1, 1], how much it points there, without gradient. `kinds`, whole numbers, say
    what the target has there, for attacks to which what is rare counts as much as the rest; without any it is all one.
    `log_probabilities`, with a gradient, are those of what the target has there; without any, minus the losses.
    """

    losses: Tensor
    right: Tensor
    alignment: Tensor
    kinds: Tensor | None = None
    log_probabilities: Tensor | None = None

    @property
    def at_target(self) -> Tensor:
        """The logarithm of the probability of the target, at most 0: 0 where it says nothing."""
        return -self.losses if self.log_probabilities is None else self.log_probabilities


class Drawing(NamedTuple):
    """Answers as pictures, uint8 (M, H, W, 3), and what their colours stand for: pairs of "#rrggbb" and a word."""

    pictures: Tensor
    legend: Sequence[tuple[str, str]]


@runtime_checkable
class Task(Protocol):
    """Implemented by `foolbench.tasks`. Tensors have the batch first. What has a body here need not be overridden."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Name -> metric; the first is the task's main one."""
        ...

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        """Raise InputError unless a model's outputs have the shape this task needs."""
        ...

    def check_targets(self, targets: Tensor, samples: int) -> None:
        """Raise InputError unless targets have this task's shape, type and values."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Per-sample training loss, shape (N,)."""
        ...

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        """Outputs for several views of each image (N, V, ...) to those for the images (N, ...).

        Of maps `shown` (N, V, H, W) says which pixels each view shows: the others of it do not count. Each pixel is
        shown by some view.
        """
        ...

    def predict(self, outputs: Tensor) -> Tensor:
        """Decode outputs into what targets look like."""
        ...

    @property
    def class_scores(self) -> int | None:
        """How many classes outputs (N, K) are the scores of; None where an image has not one class."""
        return None

    @property
    def rejected(self) -> int | None:
        """What "rejected" is among predictions; None where a system has to answer."""
        return None

    def abstaining(self) -> "Task":
        """The same task for systems that may reject an image. Raises ConfigError where they cannot."""
        raise ConfigError(f"Expected a task in which a system may reject an image, as recognition, got {self}.")

    def to_leave(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Outputs as an attack away from `targets` has to see them: whatever else is no success counts for these."""
        return outputs

    @property
    def background(self) -> int | None:
        """The class of places that show nothing in particular; None where there is none."""
        return None

    @property
    def aims(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Other answers, made of an answer, that an attack may want to see in its place."""
        return {}

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """How much of each answer is as the targets have it, (N,) in 0..1. By the main metric where nothing is said."""
        metric = next(iter(self.metrics.values()))
        return metric.share(metric.per_image(predictions, targets)).to(predictions.device)

    def share(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        """How much of each answer an attack has brought where it should be, (N,) in 0..1."""
        agreement = self.agreement(predictions, targets)
        return agreement if targeted else 1 - agreement

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        """Which images (N,) an attack need change no further: those that left the targets, or reached them."""
        return self.agreement(predictions, targets) == (1 if targeted else 0)

    def reference(self, predictions: Tensor, targets: Tensor | None) -> Tensor:
        """A system's predictions for clean images as what those for attacked ones are compared with.

        `targets` are the truth, where it is known: it may say that something counts for nothing.
        """
        return predictions

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What attacks ascend, (N,): the loss, or what rises wherever it does and keeps a gradient where that ends."""
        return self.loss(outputs, targets)

    def expected(self, objectives: Tensor) -> Tensor:
        """Of the objective in several evaluations (N, D), what rises wherever their mean loss does, (N,)."""
        return objectives.mean(dim=1)

    def weighed(self, objectives: Tensor, weights: Tensor) -> Tensor:
        """What rises wherever the loss does of which the objective speaks, and is to `expected` so many times as large.

        Both (N, P), of the places of an answer; the weights, at least 0, have no gradient.
        """
        return weights * objectives

    def word(self, answer: Tensor, name: Callable[[int], str]) -> str:
        """One prediction or target for people, where a word says it; `name` tells what a class is called."""
        return ""

    def confidence(self, outputs: Tensor) -> Tensor | None:
        """The probability that outputs give to each prediction, (N,); None where there is no such thing."""
        return None

    def draw(self, answers: Tensor, name: Callable[[int], str]) -> Drawing | None:
        """Predictions or targets (M, ...) side by side, in the same colours; None where they are no pictures."""
        return None

    def constant(self, targets: Tensor) -> Tensor:
        """The outputs for one image that suit all `targets` best: what to answer where the image is not seen."""
        raise ConfigError(f"{self!r} has no answer that does without the image.")

    def places(self, outputs: Tensor, targets: Tensor) -> Places:
        """For attacks that weigh one place of the answer against another; their mean is about the objective."""
        right = self.reached(self.predict(outputs.detach()), targets, targeted=True)[:, None]
        return Places(
            self.objective(outputs, targets)[:, None],
            right,
            right.to(outputs.dtype),
            log_probabilities=-self.loss(outputs, targets)[:, None],
        )
