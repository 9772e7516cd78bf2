"""Square attack (Andriushchenko et al. 2020, https://arxiv.org/abs/1912.00049): random search over square patches."""

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.attack import Access, Attack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row, size, steepest
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._losses import class_count, gain, margin

Window = tuple[Tensor, Tensor, Tensor, Tensor]
"""What to index images (N, C, H, W) with to get a square of each, (N, C, side, side)."""

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of the area of a square, were there 10,000 queries
_TINY = 1e-12


@register_attack("square")
@dataclass(frozen=True, kw_only=True)
class Square(Attack):
    """Changes one random square at a time, and keeps the change where the margin of `y` shrinks.

    It sees class scores only, those of `queries` points an image. The squares cover a share `p_init` of the image at
    first, and less as queries go by. Under Linf the start has vertical stripes, and a square moves each channel to one
    end of its budget. Under L2 the start is a grid of small dipoles, and a square gathers what the image has left of
    its budget and what another square, which is restored, gives back. An image rests once its prediction has left `y`
    (or reached it, where targeted), if need be as it came.
    """

    queries: int = 5000
    p_init: float = 0.8

    access: ClassVar[Access] = "score"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    randomized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries < 1:
            raise ConfigError(f"Expected queries >= 1, got {self.queries}.")
        if not 0 < self.p_init <= 1:
            raise ConfigError(f"Expected 0 < p_init <= 1, got {self.p_init}.")

    @property
    def stops_at_boundary(self) -> bool:
        return True

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        class_count(model)  # refuses a model without class scores
        _, reached = self._score(model, x, y, rng.fork("clean"))
        found, rows = x.clone(), (~reached).nonzero()[:, 0]  # `rows` go on; x, y, z and draws are theirs
        if not len(rows):
            return found
        x, y, draws = x[rows], y[rows], rng.fork("squares")[rows]
        start, change = (self._stripes, self._recolor) if self.norm == "linf" else (self._tiles, self._gather)
        z = start(x, draws)
        loss, reached = self._score(model, z, y, draws.fork(0))
        for query in range(1, self.queries):
            if reached.any():
                found[rows[reached]], going = z[reached], ~reached
                rows, x, y, z, loss = (part[going] for part in (rows, x, y, z, loss))
                draws = draws[going]
                if not len(rows):
                    return found
            changed = change(z, x, self._side(query, x.shape), draws)
            new_loss, reached = self._score(model, z, y, draws.fork(query))
            kept = reached | (new_loss > loss)
            for window, before in changed:
                z[window] = torch.where(per_row(kept, before), z[window], before)
            loss = torch.where(kept, new_loss, loss)
        found[rows] = z
        return found

    def _score(self, model: Model, z: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """What grows towards the goal, and whether it is reached."""
        outputs = model.averaged(z, rng=draws)
        return gain(margin, self.targeted)(outputs, y), self.reached(model, outputs, y)

    def _side(self, query: int, shape: torch.Size) -> int:
        share = self.p_init / 2 ** bisect.bisect_left(_HALVINGS, query * 10_000 // self.queries)
        side = round(math.sqrt(share * shape[2] * shape[3]))
        if self.norm == "l2":
            side = max(side, 3) // 2 * 2 + 1  # odd, so that it has a centre
        return max(min(side, *shape[2:]), 1)

    def _stripes(self, x: Tensor, draws: Draws) -> Tensor:
        return (x + self.eps * draws.signs((x.shape[1], 1, x.shape[3]))).clamp_(0, 1)

    def _recolor(self, z: Tensor, x: Tensor, side: int, draws: Draws) -> Iterable[tuple[Window, Tensor]]:
        """A square of `z`, in place, at the budget's ends; the windows changed and what was there."""
        window = _window(draws, x.shape, side)
        before, original, step = z[window], x[window], self.eps * draws.signs((x.shape[1], 1, 1))
        after = (original + step).clamp_(0, 1)
        idle = (after == before).flatten(1).all(dim=1)  # of a grey image every other square: the query would be lost
        z[window] = torch.where(per_row(idle, after), (original - step).clamp_(0, 1), after)
        return [(window, before)]

    def _tiles(self, x: Tensor, draws: Draws) -> Tensor:
        """A grid of 5 x 5 dipoles, as near as it comes."""
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

    def _gather(self, z: Tensor, x: Tensor, side: int, draws: Draws) -> Iterable[tuple[Window, Tensor]]:
        """A dipole in one square of `z`, in place, of the budget of two; the windows changed and what was there."""
        unused = (self.eps**2 - size(z - x, "l2") ** 2).clamp_min_(0) / x.shape[1]
        window, spent = _window(draws, x.shape, side), _window(draws, x.shape, side)
        before, spent_before = z[window], z[spent]
        delta, original = before - x[window], x[window]
        turned, signs = per_row(draws.bits() < 0, x), draws.signs((x.shape[1], 1, 1))
        dipole = _dipole(side, x.device)
        direction = signs * torch.where(turned, dipole.T, dipole) + delta / _norms(delta).clamp_min(_TINY)
        released = _norms(spent_before - x[spent]) ** 2
        z[spent] = x[spent]
        available = (released + _norms(z[window] - original) ** 2 + per_row(unused, x)).sqrt()
        z[window] = (original + direction * (available / _norms(direction).clamp_min(_TINY))).clamp_(0, 1)
        return [(spent, spent_before), (window, before)]


def _window(draws: Draws, shape: torch.Size, side: int) -> Window:
    """A square of each image, anywhere."""
    count, channels, height, width = shape
    place = torch.arange(side, device=draws.keys.device)
    rows = draws.integers(height - side + 1)[:, None] + place
    columns = draws.integers(width - side + 1)[:, None] + place
    images = torch.arange(count, device=place.device)[:, None, None, None]
    channel = torch.arange(channels, device=place.device)[:, None, None]
    return images, channel, rows[:, None, :, None], columns[:, None, None, :]


def _norms(squares: Tensor) -> Tensor:
    """The L2 norm of each channel, (N, C, 1, 1)."""
    return torch.linalg.vector_norm(squares, dim=(2, 3), keepdim=True)


def _dipole(side: int, device: torch.device) -> Tensor:
    """Two opposite peaks, one above the other, in a square; of norm 1."""
    peaks = torch.cat([_peak(side // 2, side, device), -_peak(side - side // 2, side, device)])
    return peaks / torch.linalg.vector_norm(peaks)


def _peak(height: int, width: int, device: torch.device) -> Tensor:
    """The sum of 1/n^2 over n = distance to the centre + 1, and on to the largest there is."""
    radius = max(height, width) // 2
    terms = torch.arange(1, radius + 2, device=device, dtype=torch.float32) ** -2
    rows = (torch.arange(height, device=device) - height // 2).abs()
    columns = (torch.arange(width, device=device) - width // 2).abs()
    return terms.flip(0).cumsum(0).flip(0)[torch.maximum(rows[:, None], columns)]
