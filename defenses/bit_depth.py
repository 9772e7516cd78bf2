"""Bit-depth reduction (Xu et al. 2018, https://arxiv.org/abs/1704.01155; Guo et al. 2018, https://arxiv.org/abs/1711.00117)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws

Levels = Literal["squeezing", "guo", "shift"]


@register_defense("bit-depth")
@dataclass(frozen=True, kw_only=True)
class BitDepth(InputTransform):
    """Round every pixel value to a few levels, by one of the three definitions of `bits` in use.

    - "squeezing" (the default): round(x (2^bits - 1)) / (2^bits - 1), 2^bits levels that include 0 and 1.
    - "guo": round(x 2^bits) / 2^bits, 2^bits + 1 levels, as in the code that Guo et al. released.
    - "shift": keep the upper bits of the 8-bit value, 2^bits levels, up to 2^-bits darker.

    Broken by PGD with the identity for its gradient, BPDA (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420), and in feature squeezing (He et al. 2017, https://arxiv.org/abs/1706.04701).
    """

    bits: int = 3
    levels: Levels = "squeezing"

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ConfigError(f"Expected bits in 1..8, got {self.bits}.")
        if self.levels not in get_args(Levels):
            raise ConfigError(f"Expected levels to be one of {', '.join(get_args(Levels))}, got {self.levels!r}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        if self.levels == "shift":
            step = 2 ** (8 - self.bits)
            return ((x * 255).round() / step).floor() * step / 255
        top = 2**self.bits - (self.levels == "squeezing")
        return (x * top).round() / top
