"""Square attack (Andriushchenko et al. 2020, https://arxiv.org/abs/1912.00049): random search over square patches."""

import bisect
import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.attack import LATER, Access
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row, size, steepest
from ..core.query_attack import QueryAttack, Searched
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._losses import gain, margin

Window = Tensor
"""A square of each image: the indices (N, C, side, side) of its pixels in the flattened image."""

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries, when the area of a square halves
_TINY = 1e-12
_AT_ONCE = 128
"""Queries whose random numbers are drawn together: one by one the draws cost more than a small network."""
_WITHOUT_SIGN = 2**63 - 1


@register_attack("square")
@dataclass(frozen=True, kw_only=True)
class Square(QueryAttack):
    """Random search that changes one square at a time, and keeps the change if the margin of `y` shrinks.

    It sees class scores only, for `queries` points per image. The squares cover a share `p_init` of the image at first,
    and less as queries go by, on the schedule of 10,000 queries, which is `rescaled` to `queries`. Under Linf the start
    has vertical stripes, and a square moves each channel to one end of its budget. Under L2 the start is a grid of
    small dipoles, and a square gets the unused budget of the image and that of another square, which is restored. An
    image is finished once its prediction has left `y` (or reached it, if targeted), possibly unchanged.
    """

    queries: int = 5000
    p_init: float = 0.8
    rescaled: bool = field(default=True, metadata={LATER: True})

    access: ClassVar[Access] = "score"
    needs_class_scores: ClassVar[bool] = True
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.p_init <= 1:
            raise ConfigError(f"Expected 0 < p_init <= 1, got {self.p_init}.")

    def search(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Searched:
        _, reached = self._score(model, x, y, rng.fork("clean"))
        found, rows = x.clone(), (~reached).nonzero()[:, 0]  # `rows` go on; x, y, z and draws are of them
        asked = torch.zeros_like(reached, dtype=torch.int64)
        if not len(rows):
            return Searched(found, asked)
        x, y, draws = x[rows], y[rows], rng.fork("squares")[rows]
        start, change = (self._stripes, self._recolor) if self.norm == "linf" else (self._tiles, self._gather)
        z = start(x, draws)
        loss, reached = self._score(model, z, y, draws.fork(0))
        chance = _Chance(draws, x.shape[1])
        for query in range(1, self.queries):
            if reached.any():
                found[rows[reached]], asked[rows[reached]], going = z[reached], query, ~reached
                rows, x, y, z, loss = (part[going] for part in (rows, x, y, z, loss))
                draws, chance = draws[going], chance[going]
                if not len(rows):
                    return Searched(found, asked)
            changed = change(z, x, self._side(query, x.shape), chance.next())
            new_loss, reached = self._score(model, z, y, draws.fork(query))
            kept = reached | (new_loss > loss)
            for window, before in changed:
                _paste(z, window, torch.where(per_row(kept, before), _cut(z, window), before))
            loss = torch.where(kept, new_loss, loss)
        found[rows], asked[rows] = z, self.queries
        return Searched(found, asked)

    def _score(self, model: Model, z: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return the margin towards the goal, and whether it is reached."""
        outputs = model.averaged(z, rng=draws)
        return gain(margin, model.task, self.targeted)(outputs, y), self.reached(model, outputs, y)

    def _side(self, query: int, shape: torch.Size) -> int:
        share = self.p_init / 2 ** bisect.bisect_left(
            _HALVINGS, query * 10_000 // self.queries if self.rescaled else query
        )
        side = round(math.sqrt(share * shape[2] * shape[3]))
        if self.norm == "l2":
            side = max(side, 3) // 2 * 2 + 1  # odd, so that it has a centre
        return max(min(side, *shape[2:]), 1)

    def _stripes(self, x: Tensor, draws: Draws) -> Tensor:
        return (x + self.eps * draws.signs((x.shape[1], 1, x.shape[3]))).clamp_(0, 1)

    def _recolor(self, z: Tensor, x: Tensor, side: int, luck: "_Luck") -> Iterable[tuple[Window, Tensor]]:
        """Set a square of `z`, in place, to the budget's ends; return the windows changed and what was there."""
        window = _window(luck.first, x.shape, side)
        before, original, step = _cut(z, window), _cut(x, window), self.eps * luck.signs
        after = (original + step).clamp_(0, 1)
        idle = (after == before).flatten(1).all(dim=1)  # else half of the queries on a grey image are lost
        _paste(z, window, torch.where(per_row(idle, after), (original - step).clamp_(0, 1), after))
        return [(window, before)]

    def _tiles(self, x: Tensor, draws: Draws) -> Tensor:
        """Return a start for L2: a grid of about 5 x 5 dipoles."""
        channels, height, width = x.shape[1:]
        side = max(min(height, width) // 5, 1)
        down, across = height // side, width // side
        signs = draws.signs((channels, down, across))[:, :, :, None, :, None]
        turned = (draws.bits((down, across)) < 0)[:, None, :, None, :, None]
        dipole = _dipole(side, x.device)
        grid = signs * torch.where(turned, dipole.T[:, None], dipole[:, None])
        grid = grid.reshape(len(x), channels, down * side, across * side)
        spare_height, spare_width = height - grid.shape[2], width - grid.shape[3]
        top, left = spare_height // 2, spare_width // 2
        grid = F.pad(grid, (left, spare_width - left, top, spare_height - top))
        return steepest(grid, "l2").mul_(self.eps).add_(x).clamp_(0, 1)

    def _gather(self, z: Tensor, x: Tensor, side: int, luck: "_Luck") -> Iterable[tuple[Window, Tensor]]:
        """Put the budget of two squares of `z` into a dipole, in place; return the windows and what was there."""
        unused = (self.eps**2 - size(z - x, "l2") ** 2).clamp_min_(0) / x.shape[1]
        window, spent = _window(luck.first, x.shape, side), _window(luck.second, x.shape, side)
        before, spent_before = _cut(z, window), _cut(z, spent)
        original, spent_original = _cut(x, window), _cut(x, spent)
        delta, dipole = before - original, _dipole(side, x.device)
        direction = luck.signs * torch.where(luck.turned, dipole.T, dipole)
        direction += delta / _norms(delta).clamp_min(_TINY)
        released = _norms(spent_before - spent_original) ** 2
        _paste(z, spent, spent_original)
        available = (released + _norms(_cut(z, window) - original) ** 2 + per_row(unused, x)).sqrt()
        _paste(z, window, (original + direction * (available / _norms(direction).clamp_min(_TINY))).clamp_(0, 1))
        return [(spent, spent_before), (window, before)]


class _Luck(NamedTuple):
    """The random choices of one query: two places, a sign for each channel, the orientation of a dipole."""

    first: Tensor  # (N, 2), like `second`: integers from 0 on, of which `_window` takes the remainder
    second: Tensor
    signs: Tensor  # (N, C, 1, 1)
    turned: Tensor  # (N, 1, 1, 1)


class _Chance:
    """The random choices of each query, one after the other; `chance[rows]` are those of some of the images."""

    def __init__(self, draws: Draws, channels: int) -> None:
        self._draws, self._channels = draws, channels
        self._ahead, self._used = self._drawn(), 0

    def __getitem__(self, rows: Tensor) -> "_Chance":
        chosen = copy.copy(self)
        chosen._draws = self._draws[rows]
        chosen._ahead = _Luck._make(part[rows] for part in self._ahead)
        return chosen

    def next(self) -> _Luck:
        if self._used == _AT_ONCE:
            self._ahead, self._used = self._drawn(), 0
        self._used += 1
        return _Luck._make(part[:, self._used - 1] for part in self._ahead)

    def _drawn(self) -> _Luck:
        """Draw the choices of many queries, in the second dimension."""
        first, second = self._draws.bits((2, _AT_ONCE, 2)).bitwise_and_(_WITHOUT_SIGN).unbind(1)
        signs = self._draws.signs((_AT_ONCE, self._channels, 1, 1))
        return _Luck(first, second, signs, self._draws.bits((_AT_ONCE, 1, 1, 1)) < 0)


def _window(place: Tensor, shape: torch.Size, side: int) -> Window:
    """Return the square of each image at its place; all places are equally likely."""
    height, width = shape[2:]
    corner = place[:, 0] % (height - side + 1) * width + place[:, 1] % (width - side + 1)
    return corner[:, None, None, None] + _square(side, shape[1:], place.device)


@lru_cache(maxsize=1)  # it stays the same for many queries
def _square(side: int, shape: torch.Size, device: torch.device) -> Tensor:
    """Return the window at the upper left corner."""
    return torch.arange(shape.numel(), device=device).reshape(shape)[:, :side, :side].contiguous()


def _cut(images: Tensor, window: Window) -> Tensor:
    """Return the squares, (N, C, side, side); indexing with rows and columns would take ten times as long."""
    return images.flatten(1).gather(1, window.flatten(1)).view(window.shape)


def _paste(images: Tensor, window: Window, squares: Tensor) -> None:
    """Write squares into images, in place."""
    images.view(len(images), -1).scatter_(1, window.flatten(1), squares.flatten(1))


def _norms(squares: Tensor) -> Tensor:
    """Return the L2 norm of each channel, (N, C, 1, 1)."""
    return torch.linalg.vector_norm(squares, dim=(2, 3), keepdim=True)


@lru_cache(maxsize=1)
def _dipole(side: int, device: torch.device) -> Tensor:
    """Return a square with two opposite peaks, one above the other, of norm 1."""
    peaks = torch.cat([_peak(side // 2, side, device), -_peak(side - side // 2, side, device)])
    return peaks / torch.linalg.vector_norm(peaks)


def _peak(height: int, width: int, device: torch.device) -> Tensor:
    """Return the sum of 1/n^2 over n = distance to the centre + 1, and on to the largest there is."""
    radius = max(height, width) // 2
    terms = torch.arange(1, radius + 2, device=device, dtype=torch.float32) ** -2
    rows = (torch.arange(height, device=device) - height // 2).abs()
    columns = (torch.arange(width, device=device) - width // 2).abs()
    return terms.flip(0).cumsum(0).flip(0)[torch.maximum(rows[:, None], columns)]
