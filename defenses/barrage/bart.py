"""BaRT: a barrage of random transforms (Raff et al. 2019, https://doi.org/10.1109/CVPR.2019.00669)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.defense import InputTransform
from ...core.errors import ConfigError, UnknownNameError
from ...core.registry import register_defense
from ...core.seeding import Draws
from .._surrogates import identity
from . import colours, contrast, frequencies, geometry, grain, smoothing
from .luck import Change, one_of

GROUPS: Mapping[str, tuple[Change, ...]] = {
    "levels": (colours.fewer_levels,),
    "jpeg": (frequencies.compressed,),
    "swirl": (geometry.swirled,),
    "noise": (grain.grainy,),
    "fft": (frequencies.filtered,),
    "zoom": (geometry.zoomed,),
    "colours": (colours.other_colours,),
    "contrast": (contrast.equalized, contrast.stretched),
    "grey": (colours.grey,),
    "smoothing": (smoothing.smoothed,),
}
"""Groups of alternative transforms: a barrage uses at most one transform of each group."""

_MOVING = {"swirl", "zoom"}
"""Groups that move the content of an image to other pixels."""


@register_defense("bart")
@dataclass(frozen=True, kw_only=True)
class BaRT(InputTransform):
    """Apply `transforms` random transforms to every image, one after the other.

    They come from as many different `groups`, drawn anew for each image along with their order and parameters: fewer
    levels, JPEG, swirl, noise, Fourier coefficients, zoom, colour spaces, contrast, grey, smoothing. The ranges are the
    paper's, with the distances of swirl and zoom as shares of the image's side; but median, mean and bilateral windows
    are 3 or 5 pixels, milder than the paper's disks on large images. The paper's wavelet filter and adaptive histograms
    are left out. The paper trains networks on transformed images; others lose much of their clean accuracy.

    An adaptive attack follows "steps", the exact gradient of every transform that has one and the identity through the
    others; or the "identity" alone.

    Broken by ascent through its steps over the mean of many draws (Sitawarin, Golan-Strieb and Wagner 2022,
    https://arxiv.org/abs/2207.03574).
    """

    transforms: int = 5
    groups: tuple[str, ...] = tuple(GROUPS)

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = True

    @property
    def needs_class_scores(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (the groups decide)
        return not _MOVING.isdisjoint(self.groups)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        for group in self.groups:
            if group not in GROUPS:
                raise UnknownNameError("group of bart", group, list(GROUPS))
        if not 1 <= self.transforms <= len(set(self.groups)):
            raise ConfigError(
                f"Expected transforms from 1 to the number of groups, {len(set(self.groups))}, got {self.transforms}."
            )

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        return torch.cat([self._barrage(x[row : row + 1], rng[row : row + 1]) for row in range(len(x))])

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"steps": self.transform, "identity": identity}

    @property
    def valued(self) -> Collection[str]:
        return ("steps",)

    def _barrage(self, x: Tensor, luck: Draws) -> Tensor:
        known = list(dict.fromkeys(self.groups))
        for place in luck.uniform((len(known),))[0].argsort()[: self.transforms].tolist():
            own = luck.fork(known[place])
            x = one_of(own, GROUPS[known[place]])(x, own.fork("parameters"))
        return x
