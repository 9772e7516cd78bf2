"""Image recognition: one class per image, or none where the system may reject it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import ConfigError, InputError
from ..core.registry import register_task
from ..core.task import Metric, Places, Task


def _agreement(prediction: Tensor, reference: Tensor) -> Tensor:
    return (prediction == reference).float()


_NEGLIGIBLE = 30.0
"""By which a logit lies below all others so as to count for nothing."""
_NEXT_TO_NOTHING = -15.0
_LEAST_WEIGHT = 1e-30
_METRICS = {"top1": Metric(statistics=_agreement, proportion=True)}


@register_task("recognition")
@dataclass(frozen=True, kw_only=True)
class Recognition(Task):
    """Outputs are logits (N, classes); predictions and targets are int64 (N,)."""

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ConfigError(f"Expected at least 2 classes, got {self.classes}.")

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return _METRICS

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        if outputs.shape != (samples, self.class_scores):
            raise InputError(f"Expected logits of shape ({samples}, {self.class_scores}), got {tuple(outputs.shape)}.")
        broken = int((~torch.isfinite(outputs)).any(dim=1).sum())
        if broken:
            raise InputError(f"Expected finite logits, got NaN or infinity for {broken} of {samples} images.")

    def check_targets(self, targets: Tensor, samples: int) -> None:
        if not isinstance(targets, Tensor):
            raise InputError(
                f"Expected labels as an int64 tensor, got {type(targets).__name__}; convert with torch.tensor(labels)."
            )
        if targets.dtype != torch.int64 or targets.shape != (samples,):
            raise InputError(
                f"Expected int64 labels of shape ({samples},), got {targets.dtype} {tuple(targets.shape)}."
            )
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= self.class_scores:
            raise InputError(f"Expected labels in 0..{self.class_scores - 1}, got labels in {low}..{high}.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in double precision: where a class has probability 1 in float32 (a margin of 17 is enough), the
        gradient would lose that class, and the network would look robust.
        """
        return F.cross_entropy(outputs.double(), targets, reduction="none").float()

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        """Log of the mean probabilities, which are logits again."""
        return outputs.log_softmax(dim=-1).logsumexp(dim=1) - math.log(outputs.shape[1])

    def constant(self, targets: Tensor) -> Tensor:
        """(classes,): how frequent each is, as logits; one more image has each of them."""
        return (torch.bincount(targets, minlength=self.classes) + 1).float().log()

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(dim=1)

    @property
    def class_scores(self) -> int:
        return self.classes

    def abstaining(self) -> "AbstainingRecognition":
        return AbstainingRecognition(classes=self.classes)

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return _agreement(predictions, targets)

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        return (predictions == targets) == targeted

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Log-odds: they rise exactly where cross-entropy does and in the same direction, but not ever more slowly the
        surer the network is. From a margin of 100 on, float32 has no gradient of cross-entropy left.
        """
        return log_odds(outputs, targets)

    def expected(self, objectives: Tensor) -> Tensor:
        """The logarithm of the mean cross-entropy."""
        return _log_softplus(objectives).logsumexp(dim=1) - math.log(objectives.shape[1])

    def weighed(self, objectives: Tensor, weights: Tensor) -> Tensor:
        """The log-odds of which cross-entropy is so many times as large; a weight of 0 leaves next to nothing of it."""
        return _inverse_log_softplus(_log_softplus(objectives) + weights.clamp_min(_LEAST_WEIGHT).log())

    def word(self, answer: Tensor, name: Callable[[int], str]) -> str:
        return name(int(answer))

    def confidence(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=1).amax(dim=1)

    def places(self, outputs: Tensor, targets: Tensor) -> Places:
        """An image is one place."""
        right = outputs.detach().argmax(dim=1) == targets
        sure = outputs.detach().softmax(dim=1)
        alignment = sure.gather(1, targets[:, None])[:, 0] / sure.norm(dim=1)
        against = log_odds(outputs, targets)[:, None]
        return Places(against, right[:, None], alignment[:, None], log_probabilities=F.logsigmoid(-against))


@dataclass(frozen=True, kw_only=True)
class AbstainingRecognition(Recognition):
    """Recognition by a system that may reject an image: it has one logit more, the last, for that answer.

    On clean images a rejection is an error. On attacked ones it is none: where the system answered the clean image, an
    attack has succeeded only with another class. An attack away from a class therefore leaves rejection, too: it counts
    for the class, as the logarithm of the sum of both probabilities.
    """

    @property
    def metrics(self) -> Mapping[str, Metric]:
        foiled = partial(_rejections_as_reference, rejected=self.rejected)
        return {"top1": Metric(statistics=_agreement, proportion=True, align=foiled)}

    @property
    def class_scores(self) -> int:
        return self.classes + 1

    @property
    def rejected(self) -> int:
        return self.classes

    def abstaining(self) -> "AbstainingRecognition":
        raise ConfigError("Expected a system that answers every image, got one that may reject it already.")

    def to_leave(self, outputs: Tensor, targets: Tensor) -> Tensor:
        own, rejection = outputs.gather(1, targets[:, None]), outputs[:, -1:]
        least = (outputs.detach().amin(dim=1, keepdim=True) - _NEGLIGIBLE).expand_as(rejection)
        merged = torch.cat([outputs[:, :-1], least], dim=1)
        allied = torch.where(targets[:, None] == self.rejected, own, torch.logaddexp(own, rejection))
        return merged.scatter(1, targets[:, None], allied)

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return (~self.reached(predictions, targets, targeted=False)).float()

    def share(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        return self.reached(predictions, targets, targeted=targeted).float()

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        """A rejection reaches nothing, unless it is what is to be reached."""
        same = predictions == targets
        return same if targeted else ~same & (predictions != self.rejected)


def _rejections_as_reference(prediction: Tensor, reference: Tensor, clean: Tensor, *, rejected: int) -> Tensor:
    """What the system answers, with the reference in place of a rejection that the attack has brought about."""
    return torch.where((prediction == rejected) & (clean != rejected), reference, prediction)


def _log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + exp(x))), which is x itself where exp(x) is next to nothing."""
    return F.softplus(x.clamp_min(_NEXT_TO_NOTHING)).log() + (x - _NEXT_TO_NOTHING).clamp_max(0)


def _inverse_log_softplus(y: Tensor) -> Tensor:
    """log(exp(exp(y)) - 1)."""
    softplus = y.clamp_min(_NEXT_TO_NOTHING).exp()
    return softplus + (-torch.expm1(-softplus)).log() + (y - _NEXT_TO_NOTHING).clamp_max(0)


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """Of all classes but `y` against it: log(1 / p - 1) for its probability p."""
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.logsumexp(dim=1) - logits.gather(1, y[:, None])[:, 0]
