"""REGroup: rank aggregating ensemble of generative classifiers (Shukla et al. 2020, https://arxiv.org/abs/2006.10679)."""

from collections.abc import Callable, Collection, Iterable, Mapping
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
from ._borda import borda, divergences, log_shares, soft_borda
from ._channel_sums import channel_sums
from ._modules import modules_of

_BATCH = 64
_TINY = 1e-20  # added to every channel, as in the authors' code


@register_defense("regroup")
@dataclass(frozen=True, kw_only=True)
class REGroup(LearnedNetworkDefense):
    """Let all layers vote on the class, by which channels are active before the activations.

    Of each of the `layers` (none named: all convolutions and linear layers), the positive and the negative outputs,
    summed over space, are two distributions over its channels. They are compared with those of each class: the mean
    over the training images that the network classifies correctly, weighted by its confidence. Each distribution ranks
    the classes by their KL divergence from it. The outputs are the Borda counts, as mean points of a ranking in
    1..classes; the class with the most is the answer. Training images without labels count by what the network says of
    them; a class without an image is taken to use all channels alike.

    The first layers of a small network know little of the class, and cost clean accuracy: there, name the later ones.

    Ranks have no gradient. An adaptive attack follows "soft-ranks", smooth in the divergences, or "similarities", the
    sum of the logarithms of exp(-KL), normalised over the classes.

    Broken by PGD through soft ranks; nothing published is known.
    """

    training_images: int = 2048
    layers: tuple[str, ...] = ()

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    needs_class_scores: ClassVar[bool] = True

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Prototypes (2, classes, C), positive and negative, of each layer, by its place."""
        classes, sums = _classes(data.model.task), dict[int, Tensor]()
        for start in range(0, len(data.images), _BATCH):
            x = data.images[start : start + _BATCH]
            with torch.no_grad(), channel_sums(data.model.net, self._layers(data.model.net)) as found:
                outputs = data.model.logits(x, rng=rng.fork(start).split(len(x)))
            labels = None if data.labels is None else data.labels[start : start + _BATCH]
            weights = _weights(outputs.double(), labels, classes)
            for place, distribution in enumerate(_distributions(found, len(x))):
                sums[place] = sums.get(place, 0) + torch.einsum("nk,nsc->skc", weights, distribution)
            data.progress(min(start + _BATCH, len(data.images)), len(data.images))
        return {str(place): _normalised(total) for place, total in sums.items()}

    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        return borda(self._preferences(inside, x, learned)).mean(dim=1).float()

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"soft-ranks": self._along(soft_borda), "similarities": self._along(log_shares)}

    @property
    def valued(self) -> Collection[str]:
        return "soft-ranks", "similarities"

    def _along(self, soft: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        """As `answer`, with the gradient of soft points."""

        def answer(inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
            preferences = self._preferences(inside, x, learned)
            points = borda(preferences.detach()).mean(dim=1).float()
            return with_gradient_of(soft(preferences).mean(dim=1).float(), points)

        return answer

    def _preferences(self, inside: Inside, x: Tensor, learned: Learned) -> Tensor:
        """Minus the divergences, (N, rankings, classes)."""
        classes = _classes(inside.task)
        with channel_sums(inside.net, self._layers(inside.net)) as sums:
            inside(x)
        prototypes = [learned[str(place)] for place in range(len(learned))]
        found = list(_distributions(sums, len(x)))
        known, now = ([part.shape[-1] for part in parts] for parts in (prototypes, found))
        if known != now or any(part.shape[1] != classes for part in prototypes):
            raise ConfigError(
                f"{self!r} has learned from another network than {type(inside.net).__name__}; fit it anew."
            )
        ballots = [
            -divergences(prototype, distribution)
            for pair, layer in zip(prototypes, found, strict=True)
            for prototype, distribution in zip(pair, layer.unbind(dim=1), strict=True)
        ]
        return torch.stack(ballots, dim=1)

    def _layers(self, net: nn.Module) -> list[nn.Module]:
        if not self.layers:
            return modules_of(net, (_ConvNd, nn.Linear), "convolutions or linear layers")
        modules = dict(net.named_modules())
        for name in self.layers:
            if name not in modules:
                raise UnknownNameError(f"layer of {type(net).__name__}:", name, [known for known in modules if known])
        return [modules[name] for name in self.layers]


def _classes(task: Task) -> int:
    if task.class_scores is None:
        raise ConfigError(f"Expected a network that recognises classes, for they are ranked, got one for {task}.")
    return task.class_scores


def _distributions(sums: Iterable[Tensor], count: int) -> Iterable[Tensor]:
    """(N, 2, C) of each layer; several views of an image are taken together."""
    for found in sums:
        views = found.double().unflatten(0, (count, -1)).sum(dim=1) + _TINY
        yield views / views.sum(dim=2, keepdim=True)


def _weights(outputs: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """(N, classes): the confidence at the class that is predicted, where that is right; 0 elsewhere."""
    confidence, predicted = outputs.softmax(dim=1).max(dim=1)
    counted = confidence if labels is None else confidence * (predicted == labels)
    return outputs.new_zeros(len(outputs), classes).scatter_(1, predicted[:, None], counted[:, None])


def _normalised(total: Tensor) -> Tensor:
    """Distributions (2, classes, C); uniform where nothing was counted."""
    total = total + torch.finfo(total.dtype).tiny
    return total / total.sum(dim=2, keepdim=True)
