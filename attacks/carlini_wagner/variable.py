"""The tanh variable of C&W's attacks (section V.B of the paper), moved by Adam (https://arxiv.org/abs/1412.6980)."""

import math

import torch
from torch import Tensor

from ...core.norms import per_row
from .._rows import Rows

_INSIDE = 1 - 1e-6  # as in the authors' code: black and white are inverted just inside (0, 1)
_LIMIT = 7.25  # atanh(_INSIDE): further out float32 rounds the image to black or white, and its slope to nothing
_DECAY = 0.9, 0.999
_EPSILON = 1e-16  # only against 0 / 0: the slopes at black and white are a millionth of the others


class TanhVariable(Rows):
    """Unbounded w with z = (tanh(w) + 1) / 2, so that images never leave (0, 1), and Adam's moments of each image.

    All images start at once and none pauses, so they share the count of steps.
    """

    def __init__(self, x: Tensor) -> None:
        self.w = (2 * x - 1).mul_(_INSIDE).atanh_()
        self._first, self._second = torch.zeros_like(x), torch.zeros_like(x)
        self._steps = 0

    def images(self) -> Tensor:
        return self.w.tanh().add_(1).div_(2)

    def descend(self, z: Tensor, gradient: Tensor, learning_rate: Tensor) -> None:
        """Take a step of Adam, given z = `images()`, the gradient at z (overwritten), and each image's rate (N,).

        The step is longer where |w| > 1. Black and white begin at 7.25, where w must move by some units before the
        image does, and a fixed step of 0.01 would spend the run on that.
        """
        self._steps += 1
        gradient.mul_(z).mul_(1 - z).mul_(2)  # dz/dw = 2 z (1 - z)
        self._first.lerp_(gradient, 1 - _DECAY[0])
        self._second.mul_(_DECAY[1]).addcmul_(gradient, gradient, value=1 - _DECAY[1])
        scale = torch.sqrt(self._second, out=gradient).div_(math.sqrt(1 - _DECAY[1] ** self._steps)).add_(_EPSILON)
        step = torch.div(self._first, scale, out=gradient).mul_(self.w.abs().clamp_min_(1))
        self.w.sub_(step.mul_(per_row(learning_rate / (1 - _DECAY[0] ** self._steps), step))).clamp_(-_LIMIT, _LIMIT)

    def rescale(self, factor: Tensor) -> None:
        """Scale the gradients that Adam remembers of each image by `factor` (N,)."""
        self._first.mul_(per_row(factor, self._first))
        self._second.mul_(per_row(factor.square(), self._second))
