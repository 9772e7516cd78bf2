"""What a kind of work costs, as far as a few calls of it tell: once, for every call, for every image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...ledger.ledger import Costs

LEAST = 0.5
"""Of a call's mean cost at least so much is that of an image: a hiccup of the machine in a smaller call hides it."""


class Call(NamedTuple):
    """What was spent on so many images."""

    images: int
    costs: Costs


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`once` is for the first call in a process."""

    once: Costs
    call: Costs
    each: Costs

    @classmethod
    def of(cls, calls: Sequence[Call]) -> "Rate":
        """From one to three calls, the first of them in the process, the last of them the largest."""
        columns = [_line([(call.images, call.costs[place]) for call in calls]) for place in range(len(Costs._fields))]
        once, call, each = (Costs(*values) for values in zip(*columns, strict=True))
        return cls(once=once, call=call, each=each)

    @classmethod
    def of_one(cls, costs: Costs) -> "Rate":
        """Of what is done once, without images."""
        return cls(once=Costs(), call=costs, each=Costs())

    @classmethod
    def from_columns(cls, columns: Sequence[Sequence[float]]) -> "Rate":
        """What `columns` gave."""
        once, call, each = (Costs(*values) for values in columns)
        return cls(once=once, call=call, each=each)

    @property
    def columns(self) -> Sequence[Sequence[float]]:
        """All of it as numbers."""
        return self.once, self.call, self.each

    def costs(self, images: int, *, first: bool) -> Costs:
        """Of one call."""
        found = zip(self.once, self.call, self.each, strict=True)
        return Costs(*(first * once + call + images * each for once, call, each in found))


def _line(calls: Sequence[tuple[int, float]]) -> tuple[float, float, float]:
    """Of one kind of cost."""
    warm_images, warm = calls[0]
    images, cost = calls[-1]
    each = cost / images
    fewer, less = calls[1] if len(calls) > 2 else calls[-1]
    if fewer < images:
        each = min(max((cost - less) / (images - fewer), LEAST * each), each)
    call = cost - each * images
    return max(0.0, warm - call - each * warm_images), call, each
