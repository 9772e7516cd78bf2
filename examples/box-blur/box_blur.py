"""Box blur, a defense in a package of its own."""

from dataclasses import dataclass
from typing import ClassVar

from foolbench.core import ConfigError, Draws, InputError, InputTransform, clamped, register_defense
from torch import Tensor
from torch.nn import functional as F


@register_defense("box-blur")
@dataclass(frozen=True, kw_only=True)
class BoxBlur(InputTransform):
    """Mean over a window of `size` x `size` pixels, per channel; borders repeat the edge pixel."""

    size: int = 3

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise ConfigError(f"Expected an odd window size of at least 1 pixel, got {self.size}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        radius = self.size // 2
        if min(x.shape[2:]) <= radius:
            raise InputError(f"{self} needs images larger than {radius} pixels a side, got {tuple(x.shape[2:])}.")
        return clamped(F.avg_pool2d(F.pad(x, (radius,) * 4, mode="replicate"), self.size, stride=1))
