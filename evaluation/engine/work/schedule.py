"""The order of a run's steps: none before what it waits for, and each shard where it was before, if that can be."""

import heapq
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from .units import Look, Score, Unit

Step = Unit | str
"""A unit, or the name of a network of which all is known by then that must be before it is attacked."""


class Schedule:
    """`waits` says of each step, in the order that is wished for, which ones it waits for.

    Units are taken for one of `places`, who work at the same time. What a network said to the clean images of a shard
    is remembered where it was asked, so a place keeps to its shards, as long as there are any of the network at hand.
    """

    def __init__(self, waits: Mapping[Step, Iterable[Step]], places: int) -> None:
        self._order = {step: number for number, step in enumerate(waits)}
        self._sorter = TopologicalSorter(waits)
        self._sorter.prepare()
        self._places = places
        self._ready: list[list[tuple[int, Step]]] = [[] for _ in range(places)]
        self._shards: dict[int, int] = {}
        self._free()

    def __bool__(self) -> bool:
        """Whether something is left to do."""
        return self._sorter.is_active()

    def order(self, step: Step) -> int:
        return self._order[step]

    def peek(self, place: int) -> Step | None:
        """What it would take."""
        heap = self._heap(place)
        return heap[0][1] if heap else None

    def take(self, place: int) -> Step | None:
        """None where nothing can be done before something that was taken is done."""
        heap = self._heap(place)
        return heapq.heappop(heap)[1] if heap else None

    def done(self, step: Step) -> None:
        self._sorter.done(step)
        self._free()

    def again(self, step: Step, elsewhere: int) -> None:
        """It was not done; another place than this one should take it."""
        heapq.heappush(self._ready[(elsewhere + 1) % self._places], (self._order[step], step))

    def _free(self) -> None:
        for step in self._sorter.get_ready():
            heapq.heappush(self._ready[self._home(step)], (self._order[step], step))

    def _home(self, step: Step) -> int:
        if not isinstance(step, Look | Score):
            return self._order[step] % self._places
        return self._shards.setdefault(step.samples[0], len(self._shards)) % self._places

    def _heap(self, place: int) -> list[tuple[int, Step]]:
        """That of the place, unless there is earlier work with another network, or it has none."""
        own, first = self._ready[place], min(self._ready, key=lambda heap: heap[0][0] if heap else len(self._order))
        at_hand = own and first and _network(own[0][1]) == _network(first[0][1])
        return own if at_hand else first


def _network(step: Step) -> str:
    return step if isinstance(step, str) else step.network
