"""The distance to a hyperplane, and the exact smallest move onto it within [0, 1]."""

import torch
from torch import Tensor

from ..core.norms import Norm, dual_size, fill_in_turn


def linear_distance(value: Tensor, slope: Tensor, norm: Norm) -> Tensor:
    """Return the distance to where a linear function with this value and slope is zero.

    The value is (...), the slope (..., C, H, W) or (..., D). The distance is infinite where the slope is zero. Values
    and slopes may be as small or as large as float32 has them.
    """
    steepness = dual_size(slope.reshape(value.numel(), -1), norm).reshape(value.shape)
    return torch.where(steepness > 0, value.abs() / steepness, torch.inf).to(value)


def move_onto(points: Tensor, normal: Tensor, rise: Tensor, norm: Norm) -> Tensor:
    """Return the smallest move (linf, l2 or l1) that changes normal @ point by `rise`, with points + move in [0, 1].

    `points` and the result are (..., N, D), `normal` (N, D), `rise` (..., N). If the box is too small for the rise, the
    move comes as near to it as possible; if the normal is zero, so is the move.
    """
    largest = normal.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(normal.dtype).tiny)
    slope, rise = normal / largest, rise[..., None] / largest  # squares of 1e-25 would leave float32
    way = slope.sign() * rise.sign()
    room = torch.where(way > 0, 1 - points, points) * way.abs()
    gain, rise = slope.abs(), rise.abs()
    if norm == "l1":
        used = fill_in_turn(gain * room, gain, rise) / gain.clamp_min(torch.finfo(gain.dtype).tiny)
        return way * torch.minimum(used, room)
    return way * _together(room, gain, gain.sign() if norm == "linf" else gain, rise)


def _together(room: Tensor, gain: Tensor, pace: Tensor, rise: Tensor) -> Tensor:
    """Return min(time * pace, room) at the time when its sum, weighted by `gain`, is `rise`.

    The sum is a concave, piecewise linear function of time: Newton's method comes from below, meets more full entries
    at every step, and ends on the exact time when it meets none.
    """
    speeds, amounts = gain * pace, gain * room
    full = torch.zeros_like(room, dtype=torch.bool)
    while True:
        speed = torch.where(full, 0, speeds).sum(dim=-1, keepdim=True)
        missing = (rise - torch.where(full, amounts, 0).sum(dim=-1, keepdim=True)).clamp_min(0)
        most = torch.finfo(room.dtype).max
        way = torch.where(speed > 0, missing / speed, most).clamp_max(most) * pace
        newly_full = (way >= room) & ~full
        if not newly_full.any():
            return torch.where(full, room, way)
        full |= newly_full
