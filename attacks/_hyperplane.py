"""The smallest move onto a hyperplane that stays within [0, 1], exactly."""

import torch
from torch import Tensor

from ..core.norms import Norm


def move_onto(points: Tensor, normal: Tensor, rise: Tensor, norm: Norm) -> Tensor:
    """The smallest move (linf, l2 or l1) that changes normal @ point by `rise`, with points + move in [0, 1].

    `points` and the result are (..., N, D), `normal` (N, D), `rise` (..., N). Where the box is too small for the rise
    it is the move that comes nearest to it; where the normal is zero, none.
    """
    largest = normal.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(normal.dtype).tiny)
    slope, rise = normal / largest, rise[..., None] / largest  # squares of 1e-25 would leave float32
    way = slope.sign() * rise.sign()
    room = torch.where(way > 0, 1 - points, points) * way.abs()
    gain, rise = slope.abs(), rise.abs()
    if norm == "l1":
        return way * _in_turn(room, gain, rise)
    return way * _together(room, gain, gain.sign() if norm == "linf" else gain, rise)


def _together(room: Tensor, gain: Tensor, pace: Tensor, rise: Tensor) -> Tensor:
    """min(time * pace, room), at the time when `gain` times that sums to `rise`.

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


def _in_turn(room: Tensor, gain: Tensor, rise: Tensor) -> Tensor:
    """`room` used up entry by entry, those of the largest `gain` first, until `gain` times it sums to `rise`."""
    order = gain.argsort(dim=-1, descending=True, stable=True).expand_as(room)
    amounts = (gain * room).gather(-1, order)
    before = amounts.cumsum(dim=-1) - amounts
    taken = torch.zeros_like(room).scatter(-1, order, torch.minimum((rise - before).clamp_min(0), amounts))
    return torch.minimum(taken / gain.clamp_min(torch.finfo(gain.dtype).tiny), room)
