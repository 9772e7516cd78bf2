"""REGroup: rank aggregating ensemble of generative classifiers (Shukla et al. 2020, https://arxiv.org/abs/2006.10679)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..core.defense import LearningData
from ..core.errors import ConfigError, UnknownNameError
from ..core.learned import Learned
from ..core.learned_defense import LearnedNetworkDefense
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.shell import Inside
from ..core.straight_through import with_gradient_of
from ..core.task import Task
from ..core.words import counted
from ._answering import check_answering
from ._borda import borda, divergences, log_shares, soft_borda
from ._channel_sums import channel_sums
from ._modules import modules_of

_BATCH = 64
_TINY = 1e-20  # added to every channel's sum, as in the authors' code

_Lesson = tuple[Tensor, Tensor, list[Tensor]]
"""For one batch: the network's outputs, the target classes, and the channel distributions of all layers."""


@register_defense("regroup")
@dataclass(frozen=True, kw_only=True)
class REGroup(LearnedNetworkDefense):
    """Let the layers vote on the class, by the distribution of their pre-activations over channels.

    The positive and the negative outputs of a layer, summed over space, give two distributions over its channels. Each
    ranks the classes by the KL divergence of the class's prototype from it. The prototype is the mean over the training
    images of the class that the network classifies correctly, weighted by its confidence; it is uniform for a class
    without such images. Training images without labels count as the class that the network predicts. The outputs are
    Borda counts, as mean points per ranking in 1..classes; the class with the most points is the prediction.

    The first layers of a small network tell little about the class. Therefore, of all convolutions and linear layers,
    only the last ones vote: as many as keep the clean accuracy within `max_clean_drop` percentage points of the
    network's, or, if every number costs more, the number that costs least. This is measured on one half of the training
    images with prototypes from the other half. With 100 all layers vote, as in the paper. `layers` names the voting
    layers explicitly.

    Ranks have no gradient. An adaptive attack follows "soft-ranks", which are smooth in the divergences, or
    "similarities", the mean over rankings of the log-softmax of -KL over classes.

    Broken by PGD through soft ranks; nothing published is known.
    """

    training_images: int = 2048
    max_clean_drop: float = 5.0
    layers: tuple[str, ...] = ()

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    needs_class_scores: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.max_clean_drop <= 100:
            raise ConfigError(f"Expected max_clean_drop in 0..100, in points of accuracy, got {self.max_clean_drop}.")

    def check_task(self, task: Task) -> None:
        super().check_task(task)
        check_answering(self, task)

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Return the prototypes (2, classes, C), positive and negative, of each voting layer, by its index."""
        count = len(data.images)
        mixed = rng.fork("order").bits((count,))[0].argsort()
        known, fresh = mixed[count // 2 :], mixed[: count // 2]
        lessons = _Lessons(
            data,
            self._layers(data.model.net),
            rng,
            to_show=count if self.layers else count + len(fresh),
            named=bool(self.layers),
        )
        one, other = _weighed(lessons.of(known)), _weighed(lessons.of(fresh))
        masses = [a + b for a, b in zip(one, other, strict=True)] if other else one
        mute = 0 if self.layers else self._mute(lessons.of(fresh), [_normalised(mass) for mass in one])
        return {str(place): _normalised(masses[place]) for place in range(mute, len(masses))}

    def _mute(self, fresh: Iterable[_Lesson], prototypes: list[Tensor]) -> int:
        """Return how many of the first layers should not vote, judged on images not used for the `prototypes`."""
        right, least = torch.zeros(len(prototypes), dtype=torch.int64), 0.0
        for outputs, targets, layers in fresh:
            points = borda(_preferences(prototypes, layers)).unflatten(1, (-1, 2)).sum(dim=2)
            together = points.flip(1).cumsum(dim=1).flip(1)  # (N, layers, classes): of each layer and all later ones
            right += (together.argmax(dim=2) == targets[:, None]).sum(dim=0).cpu()
            least += float((outputs.argmax(dim=1) == targets).sum()) - self.max_clean_drop / 100 * len(targets)
        return int((right >= min(least, int(right.max()))).nonzero()[0])

    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        return borda(self._ballots(inside, x, learned)).mean(dim=1).float()

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"soft-ranks": self._along(soft_borda), "similarities": self._along(log_shares)}

    @property
    def valued(self) -> Collection[str]:
        return "soft-ranks", "similarities"

    def _along(self, soft: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        """Return a function like `answer` whose gradient is that of the points `soft(ballots)`."""

        def answer(inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
            ballots = self._ballots(inside, x, learned)
            points = borda(ballots.detach()).mean(dim=1).float()
            return with_gradient_of(soft(ballots).mean(dim=1).float(), points)

        return answer

    def _ballots(self, inside: Inside, x: Tensor, learned: Learned) -> Tensor:
        """Return how much each ranking prefers each class, (N, rankings, classes)."""
        with channel_sums(inside.net, self._layers(inside.net)) as sums:
            inside(x)
        voting = sorted(int(place) for place in learned)
        prototypes = [learned[str(place)] for place in voting]
        found = list(_distributions(sums, len(x)))[voting[0] :]
        shapes = [(inside.task.class_scores, layer.shape[-1]) for layer in found]
        if [prototype.shape[1:] for prototype in prototypes] != shapes:
            raise ConfigError(
                f"{self!r} has learned from another network than {type(inside.net).__name__}; fit it anew."
            )
        return _preferences(prototypes, found)

    def _layers(self, net: nn.Module) -> list[nn.Module]:
        if not self.layers:
            return modules_of(net, (_ConvNd, nn.Linear), "convolutions or linear layers")
        modules = dict(net.named_modules())
        for name in self.layers:
            if name not in modules:
                raise UnknownNameError(f"layer of {type(net).__name__}:", name, [known for known in modules if known])
        return [modules[name] for name in self.layers]


@dataclass
class _Lessons:
    """Batches of training images with the network's outputs and distributions, reporting progress out of `to_show`."""

    data: LearningData
    layers: list[nn.Module]
    rng: Draws
    to_show: int
    named: bool
    shown: int = 0

    def of(self, rows: Tensor) -> Iterator[_Lesson]:
        model, labels = self.data.model, self.data.labels
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            x = self.data.images[batch]
            with torch.no_grad(), channel_sums(model.net, self.layers) as found:
                outputs = model.logits(x, rng=self.rng.fork(self.shown).split(len(x))).double()
            self._check_used(len(found), model.net)
            targets = outputs.argmax(dim=1) if labels is None else labels[batch]
            yield outputs, targets, list(_distributions(found, len(x)))
            self.shown += len(x)
            self.data.progress(self.shown, self.to_show)

    def _check_used(self, used: int, net: nn.Module) -> None:
        """Raise ConfigError if the network did not call a layer that was asked for; attention calls not all it has."""
        if self.named and used < len(self.layers):
            layers = counted(len(self.layers), "layer")
            raise ConfigError(
                f"Expected {type(net).__name__} to call all of {layers}, it called {used}: name those alone."
            )


def _distributions(sums: Iterable[Tensor], count: int) -> Iterable[Tensor]:
    """Yield the distributions (N, 2, C) of each layer, pooled over the views of an image."""
    for found in sums:
        views = found.double().unflatten(0, (count, -1)).sum(dim=1) + _TINY
        yield views / views.sum(dim=2, keepdim=True)


def _preferences(prototypes: Iterable[Tensor], layers: Iterable[Tensor]) -> Tensor:
    """Return minus the divergences (N, rankings, classes): for each layer its positive, then its negative outputs."""
    return torch.stack(
        [
            -divergences(prototype, distribution)
            for pair, layer in zip(prototypes, layers, strict=True)
            for prototype, distribution in zip(pair, layer.unbind(dim=1), strict=True)
        ],
        dim=1,
    )


def _weighed(lessons: Iterable[_Lesson]) -> list[Tensor]:
    """Sum each layer's distributions to (2, classes, C) over correctly classified images, weighted by confidence."""
    sums: list[Tensor] = []
    for outputs, targets, layers in lessons:
        confidence, predicted = outputs.softmax(dim=1).max(dim=1)
        counted = confidence * (predicted == targets)
        weights = torch.zeros_like(outputs).scatter_(1, predicted[:, None], counted[:, None])
        parts = [torch.einsum("nk,nsc->skc", weights, layer) for layer in layers]
        sums = [total + part for total, part in zip(sums, parts, strict=True)] if sums else parts
    return sums


def _normalised(total: Tensor) -> Tensor:
    """Normalise sums to distributions (2, classes, C); a class without any images gets a uniform one."""
    total = total + torch.finfo(total.dtype).tiny
    return total / total.sum(dim=2, keepdim=True)
