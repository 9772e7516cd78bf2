"""Image quilting as a defense (Guo et al. 2018, https://arxiv.org/abs/1711.00117).

The seams are those of Efros and Freeman 2001, https://doi.org/10.1145/383259.383296.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import LearnedTransform, LearningData
from ..core.errors import ConfigError, InputError
from ..core.learned import Learned
from ..core.registry import register_defense
from ..core.seeding import Draws

_AXES = 24  # principal components that shortlist patches: 98% of the variance of 5x5 colour patches
_GROUP = 16  # patches that enter or miss the shortlist together
_SPARE = 4  # groups on the shortlist beyond the neighbours wanted
_QUERIES = 128  # at a time
_GROUPS = 784  # at a time on a CPU: distances between so many and the queries stay in its cache


@register_defense("quilting")
@dataclass(frozen=True, kw_only=True)
class Quilting(LearnedTransform):
    """Rebuild every image from patches of clean training images, joined where they differ least.

    The image is covered by windows of `size` x `size` pixels that overlap by `overlap`; the last row and column are
    shifted inwards to end at the border. Each window is replaced by one of its `neighbours` nearest patches (squared
    distance over all channels), drawn at random, out of `patches` that were drawn from the training images.
    """

    size: int = 5
    overlap: int = 2
    neighbours: int = 10
    patches: int = 100_000

    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"Expected size >= 1 pixel, got {self.size}.")
        if not 0 <= self.overlap < self.size:
            raise ConfigError(f"Expected overlap in 0..{self.size - 1} pixels, got {self.overlap}.")
        if self.neighbours < 1:
            raise ConfigError(f"Expected neighbours >= 1, got {self.neighbours}.")
        if self.patches < 1:
            raise ConfigError(f"Expected patches >= 1, got {self.patches}.")

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (it depends on `neighbours`)
        return self.neighbours > 1

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """The bank, `patches` (M, C, size, size): distinct windows of the images, all of them where there are fewer."""
        windows = self._windows(data.images)  # N, C, rows, columns, size, size
        places = (len(windows), *windows.shape[2:4])
        total = places[0] * places[1] * places[2]
        drawn = rng.bits((total,))[0].topk(min(self.patches, total)).indices.sort().values
        image, row, column = torch.unravel_index(drawn, places)
        return {"patches": windows[image, :, row, column]}

    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        bank = learned["patches"]
        if x.shape[1] != bank.shape[1]:
            raise InputError(f"Expected images of {bank.shape[1]} channels, as those learned from, got {x.shape[1]}.")
        rows, columns = (self._starts(side, x.device) for side in x.shape[2:])
        windows = self._windows(x.detach())[:, :, rows][:, :, :, columns].movedim(1, 3)
        nearest = _nearest(windows.flatten(3).flatten(0, 2), bank.flatten(1), min(self.neighbours, len(bank)))
        drawn = rng.integers(nearest.shape[1], (len(rows) * len(columns),)).reshape(-1, 1)
        chosen = bank[nearest.gather(1, drawn)].reshape(windows.shape).movedim(3, 1)
        return _quilt(chosen, rows, columns, torch.empty_like(x, memory_format=torch.contiguous_format))

    def _windows(self, images: Tensor) -> Tensor:
        if min(images.shape[2:]) < self.size:
            raise InputError(
                f"{self} needs images of at least {self.size} pixels a side, got {tuple(images.shape[2:])}."
            )
        return images.unfold(2, self.size, 1).unfold(3, self.size, 1)

    def _starts(self, side: int, device: torch.device) -> Tensor:
        """First pixels of the windows along a side."""
        step, last = self.size - self.overlap, side - self.size
        return (torch.arange(-(-last // step) + 1, device=device) * step).clamp(max=last)


def _nearest(queries: Tensor, bank: Tensor, count: int) -> Tensor:
    """Rows (Q, count) of the bank (M, D) that are nearest to each of the queries (Q, D), in no order.

    A shortlist by distances within the principal components of the bank, of which the nearest by all values are taken.
    Groups are listed by their nearest member, so no patch that is nearest within the components is missed.
    """
    mean = bank.mean(dim=0)
    sample = bank[:: 1 + len(bank) // 10_000] - mean
    axes = torch.linalg.eigh(sample.T @ sample).eigenvectors[:, -_AXES:]
    codes = (bank - mean) @ axes
    # |code|^2 - 2 <code, query> is the squared distance less what is the same for the whole bank
    groups = F.pad(
        torch.cat([-2 * codes, codes.square().sum(dim=1, keepdim=True)], dim=1), (0, 0, 0, -len(bank) % _GROUP)
    )
    groups[len(bank) :, -1] = torch.inf
    slices = groups.T.unflatten(1, (_GROUP, -1)).movedim(1, 0).contiguous()  # members, components, groups
    total = slices.shape[2]
    tiles = slices.split(_GROUPS if bank.device.type == "cpu" else total, dim=2)
    listed = min(count + _SPARE, total)
    members = torch.arange(_GROUP, device=bank.device) * total

    def search(some: Tensor) -> Tensor:
        code = F.pad((some - mean) @ axes, (0, 1), value=1.0)
        group = (
            torch.cat([_least(code, tile) for tile in tiles], dim=1)
            .topk(listed, dim=1, largest=False, sorted=False)
            .indices
        )
        candidates = (group[:, :, None] + members).flatten(1)
        found = F.embedding(candidates.clamp(max=len(bank) - 1), bank)  # faster than indexing
        # not as the difference of large numbers: patches that are nearly equal must be told apart
        distances = torch.cdist(some[:, None], found, compute_mode="donot_use_mm_for_euclid_dist")[:, 0]
        distances = distances.masked_fill(candidates >= len(bank), torch.inf)
        return candidates.gather(1, distances.topk(count, dim=1, largest=False, sorted=False).indices)

    # every product has the same shape, so that rounding does not depend on how many images are searched for
    whole = F.pad(queries, (0, 0, 0, -len(queries) % _QUERIES))
    return torch.cat([search(some) for some in whole.split(_QUERIES)])[: len(queries)]


def _least(code: Tensor, members: Tensor) -> Tensor:
    """The least product with a member of each group: (Q, D) by (members, D, groups) to (Q, groups)."""
    least = code @ members[0]
    product = torch.empty_like(least)
    for member in members[1:]:
        torch.minimum(least, torch.mm(code, member, out=product), out=least)
    return least


def _quilt(chosen: Tensor, rows: Tensor, columns: Tensor, canvas: Tensor) -> Tensor:
    """Lay patches (N, C, rows, columns, p, p) on the canvas in raster order, each cut along its best seams.

    Patches whose order does not matter are laid at once: `reach` columns to the right of a patch still overlap it, so
    a patch needs those up to `reach` columns further right in the row above.
    """
    size = chosen.shape[-1]
    pixels = torch.arange(size, device=chosen.device)
    left, top = _overlaps(columns, size), _overlaps(rows, size)
    reach = (
        int(torch.searchsorted(columns, columns + size).sub(torch.arange(len(columns), device=columns.device)).max())
        - 1
    )
    for wave in range((reach + 1) * (len(rows) - 1) + len(columns)):
        first = max(0, -(-(wave - len(columns) + 1) // (reach + 1)))
        row = torch.arange(first, min(len(rows) - 1, wave // (reach + 1)) + 1, device=chosen.device)
        column = wave - (reach + 1) * row
        where = (rows[row, None, None] + pixels[:, None], columns[column, None, None] + pixels)
        old, new = canvas[:, :, *where], chosen[:, :, row, column]
        error = (old - new).square().sum(dim=1)
        vertical, horizontal = _beyond_seam(
            torch.stack([error, error.mT]), torch.stack([left[column], top[row]])[:, None]
        )
        canvas[:, :, *where] = torch.where((vertical & horizontal.mT)[:, None], new, old)
    return canvas


def _overlaps(starts: Tensor, size: int) -> Tensor:
    """How many pixels of each window the window before it covers."""
    return F.pad(starts[:-1] + size - starts[1:], (1, 0)).clamp(min=0)


def _beyond_seam(error: Tensor, width: Tensor) -> Tensor:
    """Where a patch lies on or right of the path down its first `width` columns that has the least total error.

    `error` is (..., p, p). From row to row the path moves by at most one column. All of a patch without overlap is
    beyond the seam.
    """
    columns = torch.arange(error.shape[-1], device=error.device)
    cost = error.masked_fill(columns >= width.clamp(min=1)[..., None, None], torch.inf).flatten(0, -3)
    totals = [cost[:, 0]]
    for line in cost[:, 1:].unbind(1):
        totals.append(line - F.max_pool1d(-totals[-1], 3, stride=1, padding=1))
    path = [totals[-1].argmin(dim=1, keepdim=True)]
    for total in reversed(totals[:-1]):
        out_of_reach = (columns - path[-1]).abs() > 1
        path.append(total.masked_fill(out_of_reach, torch.inf).argmin(dim=1, keepdim=True))
    return (columns >= torch.stack(path[::-1], dim=1)).reshape(error.shape)
