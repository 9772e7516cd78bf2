"""Primal-dual iterations that minimise total variation, with their exact gradient.

Chambolle and Pock 2011, https://doi.org/10.1007/s10851-010-0251-1. The method is the split Bregman method of Goldstein
and Osher 2009 with its inner linear system replaced by one gradient step, so that a whole batch is updated at once,
without sweeps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_STEP = 0.25  # primal step; the dual step is 1 / (8 _STEP), where 8 bounds the squared norm of the image gradient
_AT_A_TIME = 2**16  # values at a time on a CPU, so that an iteration stays in its cache
_ELSEWHERE = 2**23  # values at a time on a GPU: the backward pass of 30 iterations then takes 3 GB


@dataclass(frozen=True)
class Iterations:
    """`count` iterations that minimise 1/2 (sum of (z - x)^2 over kept pixels) + weight * TV(z), plane by plane.

    The dual variables `right` and `down` are in units of their bound, `weight`.
    """

    weight: float
    isotropic: bool
    count: int

    def __call__(self, start: Tensor, x: Tensor, kept: Tensor) -> Tensor:
        """Run the iterations from `start` (N, C, H, W), with channels independent and the unrolled gradient."""
        return cast(Tensor, _Unrolled.apply(start, x, kept.expand_as(x), self))

    def forward(self, z: Tensor, x: Tensor, pull: Tensor, tape: Tensor | None = None) -> Tensor:
        """Iterate on planes (H, W, N); `pull` is the weight with which each step draws a pixel towards `x`.

        If given, `tape` (count, 2, H, W, N) receives the dual variables of each iteration before their projection.
        """
        ahead, right, down = z, torch.zeros_like(z), torch.zeros_like(z)
        step, dual_step = self._steps
        for iteration in range(self.count):
            right[:, :-1].add_(ahead[:, 1:] - ahead[:, :-1], alpha=dual_step)
            down[:-1].add_(ahead[1:] - ahead[:-1], alpha=dual_step)
            if tape is not None:
                torch.stack([right, down], out=tape[iteration])
            self._bound(right, down)
            moved = torch.add(z, right, alpha=step).add_(down, alpha=step)
            moved[:, 1:].sub_(right[:, :-1], alpha=step)
            moved[1:].sub_(down[:-1], alpha=step)
            moved.lerp_(x, pull)
            ahead = torch.lerp(z, moved, 2.0)
            z = moved
        return z

    def backward(self, to_z: Tensor, pull: Tensor, tape: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients with respect to the start and `x`, given that with respect to the result."""
        step, dual_step = self._steps
        stay, to_x, to_ahead = 1 - pull, torch.zeros_like(to_z), torch.zeros_like(to_z)
        to_right, to_down = torch.zeros_like(to_z), torch.zeros_like(to_z)
        for right, down in reversed(tape.unbind()):
            shrink = self._bound(right, down)
            to_z = torch.add(to_z, to_ahead, alpha=2)
            to_x += to_z
            to_z *= stay
            to_right[:, :-1].add_(to_z[:, :-1] - to_z[:, 1:], alpha=step)
            to_down[:-1].add_(to_z[:-1] - to_z[1:], alpha=step)
            to_z -= to_ahead
            _unbound(to_right, to_down, right, down, shrink)
            to_ahead = torch.add(to_right, to_down).mul_(-dual_step)
            to_ahead[:, 1:].add_(to_right[:, :-1], alpha=dual_step)
            to_ahead[1:].add_(to_down[:-1], alpha=dual_step)
        return to_z.add_(to_ahead), to_x.mul_(pull)

    @property
    def _steps(self) -> tuple[float, float]:
        step = _STEP * self.weight
        return step, 1 / (8 * step)

    def _bound(self, right: Tensor, down: Tensor) -> Tensor | None:
        """Project the dual variables in place, onto pairs of length <= 1 (isotropic) or onto values in [-1, 1].

        Returns the scaling factors of the isotropic projection, else None.
        """
        if self.isotropic:
            shrink = (right * right).addcmul_(down, down).clamp_(min=1).rsqrt_()
            right.mul_(shrink)
            down.mul_(shrink)
            return shrink
        right.clamp_(-1, 1)
        down.clamp_(-1, 1)
        return None


def _unbound(to_right: Tensor, to_down: Tensor, right: Tensor, down: Tensor, shrink: Tensor | None) -> None:
    """Apply the adjoint of the projection's derivative, in place.

    Pairs at the bound can only rotate, and values at the bound do not move.
    """
    if shrink is None:
        to_right *= right.abs() < 1
        to_down *= down.abs() < 1
        return
    along = (to_right * right).addcmul_(to_down, down).mul_(shrink < 1)
    to_right.addcmul_(along, right, value=-1).mul_(shrink)
    to_down.addcmul_(along, down, value=-1).mul_(shrink)


class _Unrolled(torch.autograd.Function):
    """The iterations as an autograd function.

    The backward pass runs the iterations once more: storing them all would take about a hundred times the memory of
    the images.
    """

    @staticmethod
    def forward(ctx: Any, start: Tensor, x: Tensor, kept: Tensor, iterations: Iterations) -> Tensor:
        ctx.save_for_backward(start, x, kept)
        ctx.iterations = iterations
        return _images([iterations.forward(*part) for part in _parts(start, x, kept)], x)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, None, None]:
        found, tape = [], gradients[0].new_empty(0)
        for start, x, pull, to_z in _parts(*ctx.saved_tensors, gradients[0]):
            tape.resize_(ctx.iterations.count, 2, *x.shape)
            ctx.iterations.forward(start, x, pull, tape)
            found.append(ctx.iterations.backward(to_z, pull, tape))
        to_start, to_x = zip(*found, strict=True)
        return _images(to_start, gradients[0]), _images(to_x, gradients[0]), None, None


def _parts(start: Tensor, x: Tensor, kept: Tensor, *more: Tensor) -> Iterator[list[Tensor]]:
    """Yield planes (H, W, some), a few at a time, with the mask `kept` turned into the pull of a step.

    Height and width come first, so that differences of neighbours run along long stretches of memory.
    """
    pull = kept.to(x.dtype).mul_(_STEP / (1 + _STEP))
    count = max(1, (_AT_A_TIME if x.device.type == "cpu" else _ELSEWHERE) // x[0, 0].numel())
    pieces = (images.flatten(0, 1).split(count) for images in (start, x, pull, *more))
    for part in zip(*pieces, strict=True):
        yield [planes.permute(1, 2, 0).contiguous() for planes in part]


def _images(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    return torch.cat([planes.permute(2, 0, 1) for planes in parts]).view(like.shape)
