"""The ball of a threat around given images, in which the iterates of an attack stay."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .norms import Norm, fill_in_turn, project, shrink_to, steepest


@dataclass
class Ball:
    """All images z in [0, 1] with ||z - x|| <= eps, for each image of `x` (N, C, H, W).

    Made for inner loops: bounds are computed once, and iterates are changed in place. `ball[rows]` is the ball around
    some of the images.
    """

    x: Tensor
    norm: Norm
    eps: float
    _bounds: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.norm == "linf" and self._bounds is None:
            self._bounds = (self.x - self.eps).clamp_min_(0), (self.x + self.eps).clamp_max_(1)

    def __getitem__(self, rows: Tensor) -> "Ball":
        bounds = None if self._bounds is None else (self._bounds[0][rows], self._bounds[1][rows])
        return Ball(self.x[rows], self.norm, self.eps, bounds)

    def project_(self, z: Tensor) -> Tensor:
        """Project `z`, in place: to the nearest point (Linf, L1), or onto the L2 or L0 ball and then into [0, 1].

        The second step keeps the first, since `x` lies in [0, 1].
        """
        if self._bounds is not None:
            return torch.clamp(z, *self._bounds, out=z)
        delta = z.sub_(self.x)
        if self.norm == "l1":
            room = torch.where(delta > 0, 1 - self.x, self.x)
            delta = shrink_to(delta.flatten(1), room.flatten(1), self.eps).reshape(z.shape)
        else:
            delta = project(delta, self.norm, self.eps)
        return torch.add(delta, self.x, out=z).clamp_(0, 1)

    def ascend_(self, z: Tensor, gradient: Tensor, length: float) -> Tensor:
        """Move `z`, in place, by `length` along the steepest ascent of a function with this gradient, and project.

        Under L1 the steepest move inside [0, 1] fills the values with the largest gradients up to black or white, one
        after the other. `gradient` may be overwritten.
        """
        if self.norm == "linf":
            z.add_(gradient.sign_(), alpha=length)
        elif self.norm == "l1":
            z.add_(_greedy(z, gradient, length))
        else:
            z.add_(steepest(gradient, self.norm), alpha=length)
        return self.project_(z)


def _greedy(z: Tensor, gradient: Tensor, length: float) -> Tensor:
    """Return the move of L1 norm `length` inside [0, 1] along which a function with this gradient gains most."""
    slope = gradient.flatten(1)
    room = torch.where(slope > 0, 1 - z.flatten(1), z.flatten(1)) * (slope != 0)
    return (fill_in_turn(room, slope.abs(), length) * slope.sign()).reshape(z.shape)
