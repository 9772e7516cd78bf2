"""Process as many images at a time as memory holds: fewer after it has run out, with the same results.

Random streams belong to images, and no image affects another's result, so the number of images changes rounding only.
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
"""The number of images at a time on a CPU, where more are no faster."""
_SAID = (
    *("out of memory", "not enough memory", "insufficient memory", "can't allocate memory", "cannot allocate memory"),
    *("bad_alloc", "alloc_failed"),  # the latter of cuBLAS and cuDNN
    "unable to find an engine",  # of cuDNN, if no algorithm's workspace fits beside the images
)


@dataclass
class Pieces:
    """Splits work into pieces of at most `most` images, a number that falls for good when memory runs out.

    `passes` do not count the work that ran out of memory.
    """

    most: int = sys.maxsize
    passes: Passes = field(default_factory=Passes)
    fell: bool = field(default=False, init=False)
    """Whether memory has run out."""

    @classmethod
    def of(cls, recipe: Recipe, model: Model, views: int) -> "Pieces":
        """Return pieces of the recipe's batch size at first, or of `ON_PROCESSOR` images if that is "auto" on a CPU.

        The number is divided by the `views` of each image that the network gets.
        """
        automatic = recipe.batch_size == "auto" and model.device.type == "cpu"
        return cls(max(1, (ON_PROCESSOR if automatic else recipe.shard) // views), model.passes)

    def each(self, count: int, work: Callable[[slice], T]) -> list[T]:
        """Call `work` on all pieces of `count` images, as slices, and return the results in order.

        Raises what `work` raises, including its out-of-memory error if a single image is too much.
        """
        found: list[T] = []
        start = 0
        while start < count:
            rows = slice(start, min(start + self.most, count))
            found.append(self._tried(rows, work))
            start += min(self.most, rows.stop - start)
        return found

    def first(self, count: int, work: Callable[[slice], T]) -> T:
        """Call `work` on the first piece only, and return its result."""
        return self._tried(slice(0, min(self.most, count)), work)

    def _tried(self, rows: slice, work: Callable[[slice], T]) -> T:
        """Return the result for these rows, or for as many of them, from the first on, as memory holds."""
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
    """Return whether an error says that the memory of the GPU or of the machine has run out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | cv2.error) and any(said in str(error).lower() for said in _SAID)


def _tidy() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
