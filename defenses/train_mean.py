"""Baseline that ignores the image (Eigen, Puhrsch and Fergus 2014, https://arxiv.org/abs/1406.2283).

Learned depth estimation has been compared with the mean of the training set since that paper.
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
"""Logit of a class with negligible probability."""


@register_defense("train-mean")
@dataclass(frozen=True, kw_only=True)
class TrainMean(LearnedNetworkDefense):
    """Predict the same for every image: the training set's mean depth map, or its class frequencies.

    For segmentation the class frequencies are those of each pixel. This baseline cannot be fooled, but knows nothing: a
    defense is useful only if it is better than this, on clean and on attacked images. Training images without labels
    count as what the network predicts, those that it rejects not at all. An adaptive attack follows the gradient of the
    network, as there is no other.

    Broken by nothing, for it does not look.
    """

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Return the outputs for one image, as `mean`."""
        targets = data.labels
        if targets is None:
            batches = data.images.split(_BATCH)
            draws = [rng.fork(place).split(len(batch)) for place, batch in enumerate(batches)]
            targets = torch.cat([data.model.judge(x, rng=own) for x, own in zip(batches, draws, strict=True)])
            if data.model.task.rejected is not None:
                targets = targets[targets != data.model.task.rejected]
        return {"mean": data.model.task.constant(targets)}

    def answer(self, inside: Inside, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """Return the constant outputs; they never reject an image, even if the system inside may."""
        outputs, mean = inside(x), learned["mean"]
        if inside.task.rejected is not None:
            mean = torch.cat([mean, mean.new_full((1,), _NEVER)])
        return mean.expand_as(outputs).contiguous()

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"network": lambda inside, x, learned, *, rng: inside(x)}
