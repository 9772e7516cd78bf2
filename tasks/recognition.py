"""Image recognition: one class per image, or a rejection where the system may abstain."""

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
"""Distance below the smallest logit at which a logit's probability is negligible."""
_NEXT_TO_NOTHING = -15.0
"""Log-odds x below which log(softplus(x)) is taken to be x."""
_LEAST_WEIGHT = 1e-30
"""Lower bound for weights, so that their logarithm is finite."""
_METRICS = {"top1": Metric(statistics=_agreement, proportion=True)}


@register_task("recognition")
@dataclass(frozen=True, kw_only=True)
class Recognition(Task):
    """Image recognition: outputs are logits (N, classes); predictions and targets are int64 (N,)."""

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
        """Return the cross-entropy (N,), computed in float64.

        In float32 a class can have probability exactly 1 (a margin of 17 is enough): its gradient would vanish, and the
        network would look robust.
        """
        return F.cross_entropy(outputs.double(), targets, reduction="none").float()

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        """Average logits (N, V, classes) over views, as the logarithm of the mean probabilities."""
        return outputs.log_softmax(dim=-1).logsumexp(dim=1) - math.log(outputs.shape[1])

    def constant(self, targets: Tensor) -> Tensor:
        """Return the class frequencies (classes,) as logits, with add-one smoothing."""
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
        """Return the log-odds of a wrong class, (N,), a monotone function of cross-entropy.

        Their gradient points in the same direction, but does not shrink as the network gets more confident: from a
        margin of 100 on, float32 has no gradient of cross-entropy left.
        """
        return log_odds(outputs, targets)

    def expected(self, objectives: Tensor) -> Tensor:
        """Return the logarithm of the mean cross-entropy over evaluations, (N,), given log-odds (N, D)."""
        return _log_softplus(objectives).logsumexp(dim=1) - math.log(objectives.shape[1])

    def weighed(self, objectives: Tensor, weights: Tensor) -> Tensor:
        """Return the log-odds whose cross-entropy is `weights` times as large; a weight of 0 counts as 1e-30."""
        return _inverse_log_softplus(_log_softplus(objectives) + weights.clamp_min(_LEAST_WEIGHT).log())

    def word(self, answer: Tensor, name: Callable[[int], str]) -> str:
        return name(int(answer))

    def confidence(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=1).amax(dim=1)

    def places(self, outputs: Tensor, targets: Tensor) -> Places:
        """Return each image as a single place."""
        right = outputs.detach().argmax(dim=1) == targets
        sure = outputs.detach().softmax(dim=1)
        alignment = sure.gather(1, targets[:, None])[:, 0] / sure.norm(dim=1)
        against = log_odds(outputs, targets)[:, None]
        return Places(against, right[:, None], alignment[:, None], log_probabilities=F.logsigmoid(-against))


@dataclass(frozen=True, kw_only=True)
class AbstainingRecognition(Recognition):
    """Recognition by a system that may reject an image: its outputs have one more logit, the last, for rejection.

    On clean images a rejection is an error; on attacked ones it is not: where the system answered the clean image, an
    attack succeeds only if it causes another class. An untargeted attack must therefore leave rejection as well: the
    rejection logit is merged into the logit of the class, as the logarithm of the sum of both probabilities.
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
        """Return which attacks succeeded, (N,); a rejection is a success only for a targeted attack that aims at it."""
        same = predictions == targets
        return same if targeted else ~same & (predictions != self.rejected)


def _rejections_as_reference(prediction: Tensor, reference: Tensor, clean: Tensor, *, rejected: int) -> Tensor:
    """Return the predictions, with the reference in place of every rejection that the attack has caused."""
    return torch.where((prediction == rejected) & (clean != rejected), reference, prediction)


def _log_softplus(x: Tensor) -> Tensor:
    """Return log(log(1 + exp(x))), which approaches x where exp(x) is tiny."""
    return F.softplus(x.clamp_min(_NEXT_TO_NOTHING)).log() + (x - _NEXT_TO_NOTHING).clamp_max(0)


def _inverse_log_softplus(y: Tensor) -> Tensor:
    """Return log(exp(exp(y)) - 1)."""
    softplus = y.clamp_min(_NEXT_TO_NOTHING).exp()
    return softplus + (-torch.expm1(-softplus)).log() + (y - _NEXT_TO_NOTHING).clamp_max(0)


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """Return the log-odds (N,) of all other classes against `y`: log(1 / p - 1) for the probability p of `y`."""
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.logsumexp(dim=1) - logits.gather(1, y[:, None])[:, 0]
