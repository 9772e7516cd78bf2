"""Random noise on the image (Liang, Hayes and Althoff 2017; Guo et al. 2018, https://arxiv.org/abs/1711.00117)."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws

Distribution = Literal["uniform", "gaussian"]


@register_defense("random-noise")
@dataclass(frozen=True, kw_only=True)
class RandomNoise(InputTransform):
    """Add fresh independent noise to every value of every image, and clamp the result to [0, 1].

    "uniform" noise is drawn from [-scale, scale), "gaussian" noise has standard deviation `scale`, in units of the
    pixel range [0, 1].

    Broken by PGD through the mean of several draws, EOT (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420).
    """

    distribution: Distribution = "uniform"
    scale: float = 0.05

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.distribution not in get_args(Distribution):
            known = ", ".join(get_args(Distribution))
            raise ConfigError(f"Expected distribution to be one of {known}, got {self.distribution!r}.")
        if not 0 < self.scale < math.inf:
            raise ConfigError(f"Expected scale > 0, got {self.scale}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        shape = x.shape[1:]
        noise = rng.uniform(shape, -1, 1) if self.distribution == "uniform" else rng.normal(shape)
        return noise.mul_(self.scale).add_(x).clamp_(0, 1)
