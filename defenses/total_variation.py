"""Total variation minimisation as a defense (Guo et al. 2018, https://arxiv.org/abs/1711.00117).

Solved by the primal-dual method of Chambolle and Pock 2011, https://doi.org/10.1007/s10851-010-0251-1. It is the split
Bregman method of Goldstein and Osher 2009 with its inner linear system replaced by one gradient step, so that a whole
batch moves at once, without sweeps.
"""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import InputTransform
from ..core.errors import ConfigError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ._opencv import filter_planes, suits, wants_gradient

_STEP = 0.25  # of the image; that of the dual variables is 1 / (8 _STEP), 8 bounding the squared norm of the gradient
_WINDOW = 5  # pixels, from which dropped ones are filled at the start
_AT_A_TIME = 2**16  # values on a CPU: all that an iteration touches stays in its cache


@register_defense("tv")
@dataclass(frozen=True, kw_only=True)
class TotalVariation(InputTransform):
    """Drop pixels at random and restore the image from the rest with as little total variation as will do.

    Each pixel is dropped with all its channels with probability `drop`, but one is always kept. The result z minimises

        1/2 (sum of (z - x)^2 over kept pixels) + weight * TV(z)

    where TV is the sum over channels and pixels of the length of the forward difference (dx, dy), or, if not
    `isotropic`, of |dx| + |dy|; differences across the border count as zero. With `drop` = 0 this is the denoising of
    Rudin, Osher and Fatemi. `iterations` are the same for all images; the default gets within 2% of the minimum.

    Guo et al. drop half of the pixels and use the weight 0.03 and the isotropic form.
    """

    drop: float = 0.5
    weight: float = 0.03
    isotropic: bool = True
    iterations: int = 30

    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise ConfigError(f"Expected drop in [0, 1), got {self.drop}.")
        if not 0 < self.weight < float("inf"):
            raise ConfigError(f"Expected weight > 0, got {self.weight}.")
        if self.iterations < 1:
            raise ConfigError(f"Expected iterations >= 1, got {self.iterations}.")

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (it depends on `drop`)
        return self.drop > 0

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        kept = self._kept(x, rng).expand_as(x)
        # no channel touches another
        planes, masks = (values.reshape(-1, 1, *x.shape[2:]) for values in (x.detach(), kept))
        count = max(1, _AT_A_TIME // planes[0].numel()) if x.device.type == "cpu" else len(planes)
        parts = zip(planes.split(count), masks.split(count), strict=True)
        return torch.cat([self._minimize(*part) for part in parts]).clamp_(0, 1).view(x.shape)

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        """Kept pixels as they are, dropped ones the mean of those kept around them."""
        return _filled(x, self._kept(x, rng))

    def _kept(self, x: Tensor, rng: Draws) -> Tensor:
        chance = rng.uniform((1, *x.shape[2:]))
        return chance >= chance.amax(dim=(1, 2, 3), keepdim=True).clamp(max=self.drop)

    def _minimize(self, x: Tensor, kept: Tensor) -> Tensor:
        """The dual variables `right` and `down` are kept in units of their bound, `weight`."""
        towards_x = (kept * (_STEP / (1 + _STEP))).expand_as(x)
        # height and width first: neighbours are then taken along long stretches of memory, not row by row
        z, x, towards_x = (part.permute(2, 3, 0, 1).contiguous() for part in (_filled(x, kept), x, towards_x))
        ahead, right, down = z, torch.zeros_like(z), torch.zeros_like(z)
        step = _STEP * self.weight
        dual_step = 1 / (8 * step)
        for _ in range(self.iterations):
            right[:, :-1].add_(ahead[:, 1:] - ahead[:, :-1], alpha=dual_step)
            down[:-1].add_(ahead[1:] - ahead[:-1], alpha=dual_step)
            self._bound(right, down)
            moved = torch.add(z, right, alpha=step).add_(down, alpha=step)
            moved[:, 1:].sub_(right[:, :-1], alpha=step)
            moved[1:].sub_(down[:-1], alpha=step)
            moved.lerp_(x, towards_x)
            ahead = torch.lerp(z, moved, 2.0)
            z = moved
        return z.permute(2, 3, 0, 1)

    def _bound(self, right: Tensor, down: Tensor) -> None:
        """Project onto the pairs of length at most 1, or onto values in [-1, 1], in place."""
        if self.isotropic:
            shrink = (right * right).addcmul_(down, down).clamp_(min=1).rsqrt_()
            right.mul_(shrink)
            down.mul_(shrink)
        else:
            right.clamp_(-1, 1)
            down.clamp_(-1, 1)


def _filled(x: Tensor, kept: Tensor) -> Tensor:
    """Dropped pixels become the mean of those kept in a window around them, or of all where the window has none."""
    mask = kept.to(x.dtype)
    overall = (x * mask).mean(dim=(2, 3), keepdim=True) / mask.mean(dim=(2, 3), keepdim=True)
    total, count = _window_mean(x * mask), _window_mean(mask)
    return torch.where(kept, x, (total + 1e-4 * overall) / (count + 1e-4))


def _window_mean(values: Tensor) -> Tensor:
    """Zero beyond the border."""
    if not suits(values) or wants_gradient(values):
        return F.avg_pool2d(values, _WINDOW, stride=1, padding=_WINDOW // 2)
    size, border = (_WINDOW, _WINDOW), cv2.BORDER_CONSTANT
    return filter_planes(values, values.shape[2:], lambda plane, out: cv2.blur(plane, size, dst=out, borderType=border))
