"""Image quilting as a defense (Guo et al. 2018, https://arxiv.org/abs/1711.00117)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..core.defense import LearningData
from ..core.errors import ConfigError, InputError
from ..core.learned import Learned
from ..core.learned_defense import LearnedTransform
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import with_gradient_of
from ._patch_search import indexed, nearest
from ._shape import check_learned
from ._stitching import averaged, stitched
from ._surrogates import identity, smooth

_MIXED = 10  # fewest patches that the soft surrogate mixes: a single one would have no gradient
_SOFTNESS = 0.5  # temperature of the mixtures, in units of the mean squared distance of the mixed patches


class _Found(NamedTuple):
    """Result of a search: the `rows` (Q, wanted) of a bank that are nearest to the `queries` (Q, D)."""

    queries: Tensor
    wanted: int
    rows: Tensor


_LAST: WeakKeyDictionary[Learned, _Found] = WeakKeyDictionary()


@register_defense("quilting")
@dataclass(frozen=True, kw_only=True)
class Quilting(LearnedTransform):
    """Rebuild every image from patches of clean training images, joined along minimum-error seams.

    Windows of `size` x `size` pixels that overlap by `overlap` pixels cover the image; the last row and column are
    shifted inwards to end at the border. Each window is replaced by one of its `neighbours` nearest patches (squared
    distance over all channels), drawn at random, from a bank of `patches` windows of the training images. Raises
    InputError for images smaller than `size` pixels a side.

    Broken by PGD with the identity for its gradient (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420), sooner with soft patches.
    """

    size: int = 5
    overlap: int = 2
    neighbours: int = 10
    patches: int = 100_000

    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
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
        """Return the bank, `patches` (M, C, size, size), with its search index.

        The patches are distinct windows of the images, all windows if there are fewer than `patches`.
        """
        windows = self._windows(data.images)  # N, C, rows, columns, size, size
        places = (len(windows), *windows.shape[2:4])
        total = places[0] * places[1] * places[2]
        drawn = rng.bits((total,))[0].topk(min(self.patches, total)).indices.sort().values
        image, row, column = torch.unravel_index(drawn, places)
        return indexed(windows[image, :, row, column])

    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        return self._quilted(x.detach(), learned, rng)[0]

    def surrogate(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        """Return the quilted images, with the gradient of softmax mixtures of the nearest patches."""
        quilt, found = self._quilted(x.detach(), learned, rng)
        windows, rows, columns = self._cover(x)
        queries, bank = windows.flatten(3).flatten(0, 2), learned["patches"].flatten(1)
        if self.neighbours < _MIXED:
            found = _nearest(queries.detach(), learned, min(_MIXED, len(bank)))
        mixed = _mixed(queries, bank[found])
        soft = averaged(mixed.reshape(windows.shape).movedim(3, 1), rows, columns, (x.shape[2], x.shape[3]))
        return with_gradient_of(soft, quilt)

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"soft": self.surrogate, "identity": identity, "smooth": smooth}

    @property
    def valued(self) -> Collection[str]:
        return ("soft",)

    def _quilted(self, x: Tensor, learned: Learned, rng: Draws) -> tuple[Tensor, Tensor]:
        """Return the quilted images, and the rows of the bank (windows, neighbours) nearest to each window."""
        bank = learned["patches"]
        check_learned(x, (bank.shape[1], None, None))
        windows, rows, columns = self._cover(x)
        found = _nearest(windows.flatten(3).flatten(0, 2), learned, min(self.neighbours, len(bank)))
        drawn = rng.integers(found.shape[1], (len(rows) * len(columns),)).reshape(-1, 1)
        chosen = bank[found.gather(1, drawn)].reshape(windows.shape).movedim(3, 1)
        return stitched(chosen, rows, columns, (x.shape[2], x.shape[3])), found

    def _cover(self, x: Tensor) -> tuple[Tensor, list[int], list[int]]:
        """Return the windows (N, rows, columns, C, size, size) that cover images, and their first rows and columns."""
        rows, columns = (self._starts(side) for side in x.shape[2:])
        return self._windows(x)[:, :, rows][:, :, :, columns].movedim(1, 3), rows, columns

    def _windows(self, images: Tensor) -> Tensor:
        if min(images.shape[2:]) < self.size:
            raise InputError(
                f"{self} needs images of at least {self.size} pixels a side, got {tuple(images.shape[2:])}."
            )
        return images.unfold(2, self.size, 1).unfold(3, self.size, 1)

    def _starts(self, side: int) -> list[int]:
        """Return the first pixels of the windows along a side."""
        step, last = self.size - self.overlap, side - self.size
        return [*range(0, last, step), last]


def _nearest(queries: Tensor, learned: Learned, count: int) -> Tensor:
    """Search the bank; its last result is cached, since several draws of one image (EOT) need the same patches."""
    found = _LAST.get(learned)
    if found is None or found.wanted != count or not _same(found.queries, queries):
        found = _LAST[learned] = _Found(queries, count, nearest(queries, learned, count))
    return found.rows


def _same(one: Tensor, other: Tensor) -> bool:
    return one.device == other.device and torch.equal(one, other)


def _mixed(queries: Tensor, near: Tensor) -> Tensor:
    """Mix the patches (Q, k, D) near each query (Q, D), with softmax weights that fall with distance."""
    distances = (queries[:, None] - near).square().sum(dim=2)
    width = _SOFTNESS * distances.detach().mean(dim=1, keepdim=True).clamp(min=1e-12)
    return (torch.softmax(-distances / width, dim=1)[:, None] @ near)[:, 0]
