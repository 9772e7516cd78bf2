"""The Odds Are Odd: a statistical test of how log-odds shift under noise (Roth et al. 2019, https://arxiv.org/abs/1902.04818)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from ..core.defense import LearningData
from ..core.errors import ConfigError
from ..core.learned import Learned
from ..core.learned_defense import LearnedNetworkDefense
from ..core.model import Model
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.shell import Inside
from ..core.task import Task
from ._answering import check_answering

Noise = Literal["normal", "uniform", "signs"]
Detected = Literal["reject", "correct"]

_BATCH = 64
_FEW = 3
"""Fewest images predicted as a class for estimating its own moments; below, those of all classes together are used."""
_LEAST = 1e-6
"""Lower bound of standard deviations, which avoids division by zero."""
_FOLLOWED = 4
"""Noise draws per scale that the surrogate differentiates: memory grows with their number."""


@register_defense("odds-are-odd")
@dataclass(frozen=True, kw_only=True)
class OddsAreOdd(LearnedNetworkDefense):
    """Reject images whose log-odds shift under noise in a way that those of clean images do not.

    The network sees every image with `draws` draws of noise at each of the `scales` (standard deviation in pixel
    space), clipped to [0, 1]. The mean shift of each other class's log-odds against the predicted class is
    standardised with its mean and standard deviation over the training images predicted as that class. The evidence is
    the largest of these values after averaging over scales. The threshold is the value that a share `false_positives`
    of further training images exceeds: half of the images serve for the moments, half for the threshold. No labels are
    needed.

    `detected` selects what happens above the threshold: "reject" rejects the image, "correct" predicts the class with
    the largest standardised shift. Without `standardized`, shifts are not divided by their standard deviations, which
    with a single scale is the simpler test with a threshold per pair of classes. The authors' code takes 256 `draws` at
    scales of 0.003 to 0.03.

    An adaptive attack follows the gradient of a few draws, which both fools the network and lowers the evidence.

    Broken by attacks that fool under noise, too (Hosseini, Kannan and Poovendran 2019,
    https://arxiv.org/abs/1907.12138; Tramèr et al. 2020, https://arxiv.org/abs/2002.08347).
    """

    training_images: int = 1024
    noise: Noise = "normal"
    scales: tuple[float, ...] = (0.02, 0.05)
    draws: int = 16
    false_positives: float = 0.01
    standardized: bool = True
    detected: Detected = "reject"

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    needs_class_scores: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "scales", tuple(self.scales))
        for name, known in (("noise", get_args(Noise)), ("detected", get_args(Detected))):
            if getattr(self, name) not in known:
                raise ConfigError(f"Expected {name} to be one of {', '.join(known)}, got {getattr(self, name)!r}.")
        if not self.scales or not all(0 < scale < math.inf for scale in self.scales):
            raise ConfigError(f"Expected scales > 0, at least one, got {self.scales}.")
        if self.draws < 1:
            raise ConfigError(f"Expected draws >= 1, got {self.draws}.")
        if not 0 < self.false_positives < 1:
            raise ConfigError(f"Expected false_positives in (0, 1), got {self.false_positives}.")
        least = 2 * (math.ceil(1 / self.false_positives) - 1)
        if self.training_images < least:
            raise ConfigError(
                f"Expected training_images >= {least}, for half of them have to show false_positives = "
                f"{self.false_positives}, got {self.training_images}."
            )

    @property
    def abstains(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.detected == "reject"

    def check_task(self, task: Task) -> None:
        super().check_task(task)
        check_answering(self, task)

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Return the shifts' `mean` and `deviation` (scales, predicted, other), and the evidence's `threshold` (1,)."""
        outputs, shifts = self._seen(data, rng)
        mixed = rng.fork("order").uniform((len(outputs),))[0].argsort()
        half = len(mixed) // 2
        known, fresh = mixed[: max(half, 1)], mixed[half:]
        mean, deviation = _moments(outputs[known].argmax(dim=1), shifts[known])
        if not self.standardized:
            deviation = torch.ones_like(deviation)
        learned = {"mean": mean, "deviation": deviation}
        evidence = _evidence(outputs[fresh], shifts[fresh], learned).amax(dim=1).sort().values
        rank = math.ceil((len(evidence) + 1) * (1 - self.false_positives))  # conformal quantile
        return learned | {"threshold": evidence[min(rank, len(evidence)) - 1 :][:1].clone()}

    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        return self._answer(inside, x, learned, rng, self.draws)

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"few-draws": self._of_few}

    def _of_few(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        return self._answer(inside, x, learned, rng, min(_FOLLOWED, self.draws))

    def _answer(self, inside: Inside, x: Tensor, learned: Learned, rng: Draws, draws: int) -> Tensor:
        outputs = inside(x)
        if learned["mean"].shape[1] != outputs.shape[1]:
            raise ConfigError(
                f"{self!r} has learned from another network than {type(inside.net).__name__}; fit it anew."
            )
        shifts = self._shifts(inside, x, outputs, rng, draws)
        evidence, suspect = _evidence(outputs, shifts, learned).max(dim=1, keepdim=True)
        excess = evidence - learned["threshold"]
        beyond = outputs.amax(dim=1, keepdim=True) + excess
        if self.abstains:
            return torch.cat([outputs, beyond], dim=1)
        return outputs.scatter(1, suspect, torch.maximum(outputs.gather(1, suspect), beyond))

    def _seen(self, data: LearningData, rng: Draws) -> tuple[Tensor, Tensor]:
        """Return the outputs (N, K) and shifts (N, scales, K) of all training images."""
        found = []
        for start in range(0, len(data.images), _BATCH):
            x = data.images[start : start + _BATCH]
            streams = rng.fork(start).split(len(x))
            network = _asked_anew(data.model, streams)
            with torch.no_grad():
                outputs = network(x)
                found.append((outputs, self._shifts(network, x, outputs, streams, self.draws)))
            data.progress(min(start + _BATCH, len(data.images)), len(data.images))
        outputs, shifts = zip(*found, strict=True)
        return torch.cat(outputs), torch.cat(shifts)

    def _shifts(
        self, network: Callable[[Tensor], Tensor], x: Tensor, outputs: Tensor, rng: Draws, draws: int
    ) -> Tensor:
        """Return the mean shifts (N, scales, K) of log-odds against the class that is predicted without noise."""
        before, found = _log_odds(outputs, outputs), []
        for scale in self.scales:
            total = torch.zeros_like(outputs)
            for draw in range(draws):
                noise = scale * self._unit(rng.fork((scale, draw)), x)
                total = total + network((x + noise).clamp(0, 1))
            found.append(_log_odds(total / draws, outputs) - before)
        return torch.stack(found, dim=1)

    def _unit(self, rng: Draws, x: Tensor) -> Tensor:
        """Draw noise of standard deviation 1 for every image."""
        if self.noise == "normal":
            return rng.normal(x.shape[1:])
        if self.noise == "signs":
            return rng.signs(x.shape[1:])
        return rng.uniform(x.shape[1:], -math.sqrt(3), math.sqrt(3))


def _asked_anew(model: Model, streams: Draws) -> Callable[[Tensor], Tensor]:
    """Return the model as a function whose every call draws new random numbers, as calls of what is inside do."""
    calls = count()
    return lambda x: model.logits(x, rng=streams.fork(("call", next(calls))))


def _log_odds(outputs: Tensor, reference: Tensor) -> Tensor:
    """Return the log-odds of every class against the class that `reference` predicts."""
    return outputs - outputs.gather(1, reference.argmax(dim=1, keepdim=True))


def _evidence(outputs: Tensor, shifts: Tensor, learned: Mapping[str, Tensor] | Learned) -> Tensor:
    """Return the standardised shifts (N, K), averaged over scales; minus infinity at the predicted class."""
    predicted = outputs.argmax(dim=1)
    mean, deviation = (learned[name].transpose(0, 1)[predicted] for name in ("mean", "deviation"))
    standardised = ((shifts - mean) / deviation).mean(dim=1)
    return standardised.scatter(1, predicted[:, None], -torch.inf)


def _moments(predicted: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (scales, predicted, other) of shifts.

    They are those of all images together for classes that fewer than `_FEW` images are predicted as.
    """
    classes = shifts.shape[2]
    others = torch.arange(classes, device=shifts.device) != predicted[:, None]
    pooled = shifts.transpose(0, 1)[:, others]
    all_mean, all_deviation = pooled.mean(dim=1, keepdim=True), pooled.std(dim=1, correction=0, keepdim=True)
    mean, deviation = (moment[:, None].repeat(1, classes, classes) for moment in (all_mean, all_deviation))
    for label in range(classes):
        own = shifts[predicted == label]
        if len(own) >= _FEW:
            mean[:, label], deviation[:, label] = own.mean(dim=0), own.std(dim=0)
    return mean, deviation.clamp_min(_LEAST)
