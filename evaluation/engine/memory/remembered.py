"""What systems say about the clean images, remembered from one attack to the next as far as there is room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

ROOM = 2**30
"""Bytes of all predictions that a run remembers: labels of any data set, and the maps of the first images."""


@dataclass
class Room:
    """How many bytes are left, for all who share it."""

    left: int = ROOM

    def take(self, size: int) -> bool:
        """Whether there were so many."""
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


@dataclass
class Remembered:
    """Predictions by what they are for and the samples. They lie in the machine's own memory, not the device's.

    What has no room is predicted whenever it is asked for, which changes no number: a prediction's draws depend on
    nothing else either.
    """

    room: Room
    _kept: dict[tuple[str, *tuple[int, ...]], tuple[Tensor, torch.dtype]] = field(default_factory=dict)

    def predictions(
        self, purpose: str, samples: Sequence[int], device: torch.device, predict: Callable[[], list[Tensor]]
    ) -> list[Tensor]:
        """One a draw, on the device."""
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
    """The same integers in the first type that holds them all: maps of classes are 8 bytes a pixel otherwise."""
    if numbers.dtype != torch.int64:
        return numbers
    for dtype in (torch.uint8, torch.int16, torch.int32):
        narrow = numbers.to(dtype)
        if torch.equal(narrow.long(), numbers):
            return narrow
    return numbers
