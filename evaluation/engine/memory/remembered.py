"""Remember predictions for the clean images from one attack to the next, as far as memory allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

ROOM = 2**30
"""Bytes for all predictions that a run remembers: enough for the labels of any data set, and for some maps."""


@dataclass
class Room:
    """A budget of memory that several systems share: the number of bytes left."""

    left: int = ROOM

    def take(self, size: int) -> bool:
        """Reserve `size` bytes if they are left, and return whether they were."""
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


@dataclass
class Remembered:
    """Predictions by their purpose and samples, kept in the machine's memory rather than on the device.

    Predictions that do not fit are made again whenever they are requested, with the same result: their random streams,
    too, depend on purpose and samples only.
    """

    room: Room
    _kept: dict[tuple[str, *tuple[int, ...]], tuple[Tensor, torch.dtype]] = field(default_factory=dict)

    def predictions(
        self, purpose: str, samples: Sequence[int], device: torch.device, predict: Callable[[], list[Tensor]]
    ) -> list[Tensor]:
        """Return one prediction per draw, on the device; `predict` is called unless they are remembered."""
        key = (purpose, *samples)
        if key in self._kept:
            kept, dtype = self._kept[key]
            return list(kept.to(device, dtype).unbind())
        found = predict()
        small = _narrow(torch.stack(found).cpu())
        if self.room.take(small.nbytes):
            self._kept[key] = small, found[0].dtype
        return found


def _narrow(numbers: Tensor) -> Tensor:
    """Return int64 numbers in the smallest type that holds them all: class maps would take 8 bytes per pixel."""
    if numbers.dtype != torch.int64:
        return numbers
    for dtype in (torch.uint8, torch.int16, torch.int32):
        narrow = numbers.to(dtype)
        if torch.equal(narrow.long(), numbers):
            return narrow
    return numbers
