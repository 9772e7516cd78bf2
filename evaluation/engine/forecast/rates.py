"""Estimate the costs of a kind of work from a few calls: once per process, per call, and per image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...ledger.ledger import Costs

LEAST = 0.5
"""The least share of the mean cost per image that counts as the image's own: a delay in a smaller call may hide it."""


class Call(NamedTuple):
    """A measured call: the number of its images, and its costs."""

    images: int
    costs: Costs


@dataclass(frozen=True, kw_only=True)
class Rate:
    """The costs of a kind of work: `once` for the first call in a process, `call` for each call, `each` per image."""

    once: Costs
    call: Costs
    each: Costs

    @classmethod
    def of(cls, calls: Sequence[Call]) -> "Rate":
        """Estimate a rate from one to three calls: the first is the first in its process, the last is the largest."""
        columns = [_line([(call.images, call.costs[place]) for call in calls]) for place in range(len(Costs._fields))]
        once, call, each = (Costs(*values) for values in zip(*columns, strict=True))
        return cls(once=once, call=call, each=each)

    @classmethod
    def of_one(cls, costs: Costs) -> "Rate":
        """Return the rate of a unit that is carried out once, without images."""
        return cls(once=Costs(), call=costs, each=Costs())

    @classmethod
    def from_columns(cls, columns: Sequence[Sequence[float]]) -> "Rate":
        """Return the rate that has these `columns`."""
        once, call, each = (Costs(*values) for values in columns)
        return cls(once=once, call=call, each=each)

    @property
    def columns(self) -> Sequence[Sequence[float]]:
        """The costs `once`, `call` and `each`, as three rows of numbers."""
        return self.once, self.call, self.each

    def costs(self, images: int, *, first: bool) -> Costs:
        """Return the costs of one call; `first` says whether it is the first in its process."""
        found = zip(self.once, self.call, self.each, strict=True)
        return Costs(*(first * once + call + images * each for once, call, each in found))


def _line(calls: Sequence[tuple[int, float]]) -> tuple[float, float, float]:
    """Return what one kind of cost is once, per call and per image, from (images, cost) of each call."""
    warm_images, warm = calls[0]
    images, cost = calls[-1]
    each = cost / images
    fewer, less = calls[1] if len(calls) > 2 else calls[-1]
    if fewer < images:
        each = min(max((cost - less) / (images - fewer), LEAST * each), each)
    call = cost - each * images
    return max(0.0, warm - call - each * warm_images), call, each
