"""The answer of one who sees no image: the mean of the training set, as depth is compared with since it is learned
(Eigen, Puhrsch and Fergus 2014, https://arxiv.org/abs/1406.2283).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.defense import LearningData
from ..core.learned import Learned
from ..core.learned_defense import LearnedNetworkDefense
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.shell import Inside

_BATCH = 64
_NEVER = -1e9
"""A logit that leaves nothing of a class."""


@register_defense("train-mean")
@dataclass(frozen=True, kw_only=True)
class TrainMean(LearnedNetworkDefense):
    """Answer every image alike, with what suits the training images best: of depth their mean map, of classes how
    frequent each of them is, at each pixel where there are maps.

    Nothing fools it, and it knows nothing: a defense is worth something where it is better than this, clean and under
    attack. Training images without labels count by what the network says of them. An adaptive attack follows the
    gradient of the network, for there is no other.

    Broken by nothing, for it does not look.
    """

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """The answer to one image."""
        targets = data.labels
        if targets is None:
            batches = data.images.split(_BATCH)
            draws = [rng.fork(place).split(len(batch)) for place, batch in enumerate(batches)]
            targets = torch.cat([data.model.judge(x, rng=own) for x, own in zip(batches, draws, strict=True)])
        return {"mean": data.model.task.constant(targets)}

    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """Never a rejection, where the system behind it may reject an image."""
        outputs, mean = inside(x), learned["mean"]
        if inside.task.rejected is not None:
            mean = torch.cat([mean, mean.new_full((1,), _NEVER)])
        return mean.expand_as(outputs).contiguous()

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"network": lambda inside, x, learned, *, rng: inside(x)}
