"""As many images at a time as memory holds: where it runs out, fewer, with the same numbers.

Draws belong to images, and no image has a part in another's result, so only rounding can tell how many went together.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import torch

from ....core.model import Model
from ....core.passes import Passes
from ...recipe.recipe import Recipe

T = TypeVar("T")
ON_PROCESSOR = 64
"""Images at once; more are no faster there."""
_SAID = (
    *("out of memory", "not enough memory", "insufficient memory", "can't allocate memory", "cannot allocate memory"),
    *("bad_alloc", "alloc_failed"),  # the latter of cuBLAS and cuDNN
    "unable to find an engine",  # of cuDNN, where no algorithm has room for what it needs beside the images
)


@dataclass
class Pieces:
    """At most `most` images at a time, fewer from then on where that was too many. Of work that ran out of memory the
    `passes` are not counted.
    """

    most: int = sys.maxsize
    passes: Passes = field(default_factory=Passes)
    fell: bool = field(default=False, init=False)
    """Whether memory has run out."""

    @classmethod
    def of(cls, recipe: Recipe, model: Model, views: int) -> "Pieces":
        """To begin with what the recipe says, or what the network's device is fastest with, which is given so many
        `views` of each image.
        """
        automatic = recipe.batch_size == "auto" and model.device.type == "cpu"
        return cls(max(1, (ON_PROCESSOR if automatic else recipe.shard) // views), model.passes)

    def each(self, count: int, work: Callable[[slice], T]) -> list[T]:
        """What comes of all pieces of so many images, in turn. Raises what `work` raises, also where one image is too
        much.
        """
        found: list[T] = []
        start = 0
        while start < count:
            rows = slice(start, min(start + self.most, count))
            found.append(self._tried(rows, work))
            start += min(self.most, rows.stop - start)
        return found

    def first(self, count: int, work: Callable[[slice], T]) -> T:
        """The same of the first piece alone."""
        return self._tried(slice(0, min(self.most, count)), work)

    def _tried(self, rows: slice, work: Callable[[slice], T]) -> T:
        """Of these rows, or of as many of them, from the first on, as memory holds."""
        while True:
            before = self.passes.forwards, self.passes.backwards
            try:
                return work(rows)
            except (RuntimeError, MemoryError, cv2.error) as error:
                if not is_out_of_memory(error) or rows.stop - rows.start == 1:
                    raise
            self.passes.forwards, self.passes.backwards = before  # now that the traceback holds no tensor any more
            _tidy()
            self.most, self.fell = (rows.stop - rows.start) // 2, True
            rows = slice(rows.start, rows.start + self.most)


def is_out_of_memory(error: BaseException) -> bool:
    """Of a GPU or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | cv2.error) and any(said in str(error).lower() for said in _SAID)


def _tidy() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
