"""What a model's outputs mean: their loss, decoded predictions, metrics, and when an attack has succeeded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import ConfigError

Numbers = NDArray[np.float64]
Statistics = Callable[[Tensor, Tensor], Tensor]
"""Maps (prediction, reference) to each image's contribution to a metric: (N,) or (N, S), never negative."""
Value = Callable[[Numbers], Numbers]
"""Maps statistics (..., S), of one image or summed over several, to the metric (...)."""
Align = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps (predictions, reference, the same system's clean predictions) to the predictions that are compared."""
T = TypeVar("T", float, Numbers, Tensor)


def _as_they_are(prediction: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
    return prediction


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure of how well predictions agree with a reference, over a set of images.

    It depends on sums over images only: `statistics` are the contribution of each image, and `value` computes the
    metric from their sum. Without a `value` they are the metric of each image, (N,), or hold it in one `column` of
    several, (N, S), and the metric of a set is the mean over images.
    The metric lies in [0, range]; larger is better unless it is an `error`. `proportion`: every image scores either 0
    or `range`, so that the mean is a proportion with a Wilson interval. `separable`: a set has its lowest value where
    every image has its own, as with any mean. `align` changes predictions before they are compared.

    Metrics of one task with equal statistics and alignment share a name `kept_as`, so that the ledger stores them once.
    """

    statistics: Statistics
    value: Value | None = None
    column: int | None = None
    range: float = 1.0
    error: bool = False
    proportion: bool = False
    separable: bool = False
    align: Align = _as_they_are
    kept_as: str | None = None
    by_class: Callable[[Numbers], tuple[Numbers, Numbers]] | None = None
    """Maps statistics (N, S) that count the pixels of classes to these in the reference and to the metric of each class
    alone, both (N, classes); the latter is NaN where neither map has the class. None for other metrics.
    """

    @property
    def is_mean(self) -> bool:
        return self.value is None

    @property
    def keeps_rates(self) -> bool:
        """Whether the statistics of an image are its metric itself, so that rates can be kept instead of them."""
        return self.value is None and self.column is None

    def of_images(self, statistics: Numbers) -> Numbers:
        """Return the metric of each image alone, (N,)."""
        if self.value is not None:
            return self.value(statistics)
        return statistics if self.column is None else statistics[..., self.column]

    def of_set(self, statistics: Numbers) -> float:
        """Return the metric of all images together."""
        return float(self.of_images(statistics).mean() if self.value is None else self.value(statistics.sum(axis=0)))

    def per_image(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """Return the metric of each prediction against its reference, (N,), without alignment."""
        found = self.statistics(prediction, reference)
        if self.value is not None:
            return torch.from_numpy(self.value(found.double().cpu().numpy()))
        return found if self.column is None else found[..., self.column]

    def share(self, values: T) -> T:
        """Scale metric values to 0..1, where 1 is the best, also for an error."""
        return 1 - values / self.range if self.error else values / self.range

    def lack(self, values: T) -> T:
        """Scale metric values to 0..1, where 0 is the best: the fooling rate, if a system is compared with itself."""
        return (values if self.error else self.range - values) / self.range


class Places(NamedTuple):
    """The outputs for each image place by place, (N, P): the pixels of a map, or one place for an image with one class.

    `losses` have a gradient and are 0 where the target is void. `right` marks places whose prediction matches the
    target, or is near enough. `alignment`, in [-1, 1] and without gradient, is how closely the output points to the
    target. `kinds`, whole numbers, are the target's classes, for attacks that give rare classes the same weight as
    frequent ones; None if there are none. `log_probabilities`, with a gradient, are those of the target; None means
    minus the losses.
    """

    losses: Tensor
    right: Tensor
    alignment: Tensor
    kinds: Tensor | None = None
    log_probabilities: Tensor | None = None

    @property
    def at_target(self) -> Tensor:
        """The log-probability of the target, at most 0; 0 where the target is void."""
        return -self.losses if self.log_probabilities is None else self.log_probabilities


class Drawing(NamedTuple):
    """Predictions or targets as pictures, uint8 (M, H, W, 3), and their legend: pairs of "#rrggbb" and a word."""

    pictures: Tensor
    legend: Sequence[tuple[str, str]]


class Task(ABC):
    """The base class of a task, such as those of `foolbench.tasks`. Tensors have the batch first.

    A subclass has to define what is abstract here; the other members have defaults. `settings` names those of its
    parameters that say how predictions are scored, and not what a network gives: recipes may change them.
    """

    settings: ClassVar[Sequence[str]] = ()

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name; the first is the task's main one."""

    @abstractmethod
    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        """Raise InputError unless outputs for `samples` images are finite and have this task's shape."""

    @abstractmethod
    def check_targets(self, targets: Tensor, samples: int) -> None:
        """Raise InputError unless targets for `samples` images have this task's shape, type and values."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the training loss of each sample, shape (N,)."""

    @abstractmethod
    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        """Average the outputs (N, V, ...) for several views of each image to outputs (N, ...).

        For maps, the mask `shown` (N, V, H, W) says which pixels each view shows: its other pixels do not count. Each
        pixel is shown by some view.
        """

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Decode outputs into predictions, which have the form of targets."""

    def resized(self, predictions: Tensor, size: tuple[int, int]) -> Tensor:
        """Return predicted maps (N, H, W) in another (height, width), that of the truth they are scored against.

        Raises ConfigError for a task that does not define it, as one whose predictions are no maps.
        """
        raise ConfigError(
            f"Expected a task that resizes its maps, for truths of their own size: {self} has no `resized`."
        )

    @property
    def class_scores(self) -> int | None:
        """The number of classes K if outputs are class scores (N, K); None if an image does not have one class."""
        return None

    @property
    def rejected(self) -> int | None:
        """The prediction that stands for "rejected"; None if a system has to answer every image."""
        return None

    def abstaining(self) -> "Task":
        """Return the same task for systems that may reject an image. Raises ConfigError if there is none."""
        raise ConfigError(f"Expected a task in which a system may reject an image, as recognition, got {self}.")

    def to_leave(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return outputs as an untargeted attack away from `targets` has to see them.

        Answers that do not count as success, such as a rejection, are counted towards the target.
        """
        return outputs

    @property
    def background(self) -> int | None:
        """The class of pixels that show no object; None if there is none."""
        return None

    @property
    def aims(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Functions by name, each of which turns an answer into another one that an attack may choose as its target."""
        return {}

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the share of each answer that agrees with the targets, (N,) in 0..1: by default the main metric's."""
        metric = next(iter(self.metrics.values()))
        return metric.share(metric.per_image(predictions, targets)).to(predictions.device)

    def share(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        """Return the share of each prediction that an attack has brought to its goal, (N,) in 0..1."""
        agreement = self.agreement(predictions, targets)
        return agreement if targeted else 1 - agreement

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        """Return a mask (N,) of the images on which an attack has succeeded: they left the targets, or reached them."""
        return self.agreement(predictions, targets) == (1 if targeted else 0)

    def reference(self, predictions: Tensor, targets: Tensor | None) -> Tensor:
        """Return a system's predictions for clean images as the reference for those under attack.

        `targets` are the ground truth, if known: pixels that are void there count nowhere.
        """
        return predictions

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return what attacks maximise, (N,): the loss, or what rises with it but does not lose its gradient."""
        return self.loss(outputs, targets)

    def expected(self, objectives: Tensor) -> Tensor:
        """Combine the objectives (N, D) of D evaluations into one, (N,), that rises with their mean loss."""
        return objectives.mean(dim=1)

    def weighed(self, objectives: Tensor, weights: Tensor) -> Tensor:
        """Return objectives (N, P) whose loss, as `expected` reads them, is `weights` times that of the given ones.

        Both arguments are (N, P), one per place of an output; the weights are at least 0 and have no gradient.
        """
        return weights * objectives

    def word(self, answer: Tensor, name: Callable[[int], str]) -> str:
        """Return a prediction or target as a word, or "" if it is none; `name` maps a class to its name."""
        return ""

    def confidence(self, outputs: Tensor) -> Tensor | None:
        """Return the probability that outputs give to each prediction, (N,); None if the task has none."""
        return None

    def draw(self, answers: Tensor, name: Callable[[int], str]) -> Drawing | None:
        """Draw predictions or targets (M, ...) in the same colours; None if they are no maps."""
        return None

    def constant(self, targets: Tensor) -> Tensor:
        """Return the outputs for one image that fit all `targets` best: a constant answer, which ignores the image.

        Raises ConfigError for a task that has none.
        """
        raise ConfigError(f"{self!r} has no answer that does without the image.")

    def places(self, outputs: Tensor, targets: Tensor) -> Places:
        """Return outputs place by place, for attacks that weigh places; the mean loss is close to the objective."""
        right = self.reached(self.predict(outputs.detach()), targets, targeted=True)[:, None]
        return Places(
            self.objective(outputs, targets)[:, None],
            right,
            right.to(outputs.dtype),
            log_probabilities=-self.loss(outputs, targets)[:, None],
        )
