"""RSE: the random self-ensemble (Liu et al. 2018, https://arxiv.org/abs/1712.00673)."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.modules.conv import _ConvNd

from ..core.defense import NetworkDefense
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.rewiring import rewired
from ..core.seeding import Draws
from ..core.shell import Inside
from ._modules import modules_of


@register_defense("random-self-ensemble")
@dataclass(frozen=True, kw_only=True)
class RandomSelfEnsemble(NetworkDefense):
    """Add Gaussian noise to the input of every convolution, and average the network's outputs over several draws.

    The standard deviation is `init_std` before the first convolution and `inner_std` before the others, in units of
    their inputs; the first one's input is the normalised image. One evaluation is an ensemble of `draws` passes. The
    paper trains networks under this noise: one trained without it may lose much of its clean accuracy.

    Broken by PGD through the mean of several draws, EOT (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420).
    """

    init_std: float = 0.2
    inner_std: float = 0.1
    draws: int = 10

    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("init_std", "inner_std"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"Expected {name} >= 0, got {getattr(self, name)}.")
        if self.draws < 1:
            raise ConfigError(f"Expected draws >= 1, got {self.draws}.")

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return self.init_std > 0 or self.inner_std > 0

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        streams, calls, firsts = rng.split(self.draws), itertools.count(), list[Callable[[Tensor], Tensor]]()

        def disturbed(forward: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
            call = next(calls)
            firsts.extend([] if firsts else [forward])
            std = self.init_std if forward == firsts[0] else self.inner_std  # shells inside may repeat calls
            return forward(given + std * _noise(streams.fork(call), given)) if std else forward(given)

        with rewired(inside.net, modules_of(inside.net, _ConvNd, "convolutions"), disturbed):
            return inside(x[:, None].expand(-1, self.draws, -1, -1, -1))


def _noise(streams: Draws, like: Tensor) -> Tensor:
    """Draw standard normal noise; if each stream's image has become several views, each gets noise of its own."""
    rows = streams if len(streams) == len(like) else streams.split(len(like) // len(streams))
    return rows.normal(like.shape[1:]).to(like)
