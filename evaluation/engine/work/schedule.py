"""Schedule the steps of a run: each after those it waits for, and each shard at the place it had before if possible."""

import heapq
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from .units import Look, Score, Unit

Step = Unit | str
"""A unit, or the name of a network: the step that judges it once its clean images are seen, before it is attacked."""


class Schedule:
    """The steps of a plan that are left: `waits` maps each, in the preferred order, to those that it waits for.

    Each step is taken by one of `places` concurrent workers, numbered from 0. A worker remembers the predictions for
    the clean images of a shard, so a place keeps to its own shards, as long as it has any of the current network.
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
        """Return whether any step is left."""
        return self._sorter.is_active()

    def order(self, step: Step) -> int:
        """Return the number of a step in the preferred order."""
        return self._order[step]

    def peek(self, place: int) -> Step | None:
        """Return the step that a place would take next, or None."""
        heap = self._heap(place)
        return heap[0][1] if heap else None

    def take(self, place: int) -> Step | None:
        """Take the next step for a place; None if all that is left waits for steps that are not done yet."""
        heap = self._heap(place)
        return heapq.heappop(heap)[1] if heap else None

    def done(self, step: Step) -> None:
        """Mark a step as done, and make the steps ready that waited for it alone."""
        self._sorter.done(step)
        self._free()

    def again(self, step: Step, elsewhere: int) -> None:
        """Put back a step that was not done, for another place than the one, `elsewhere`, that failed at it."""
        heapq.heappush(self._ready[(elsewhere + 1) % self._places], (self._order[step], step))

    def _free(self) -> None:
        for step in self._sorter.get_ready():
            heapq.heappush(self._ready[self._home(step)], (self._order[step], step))

    def _home(self, step: Step) -> int:
        if not isinstance(step, Look | Score):
            return self._order[step] % self._places
        return self._shards.setdefault(step.samples[0], len(self._shards)) % self._places

    def _heap(self, place: int) -> list[tuple[int, Step]]:
        """Return a place's own queue, unless it is empty or an earlier step is of another network: then that step's."""
        own, first = self._ready[place], min(self._ready, key=lambda heap: heap[0][0] if heap else len(self._order))
        at_hand = own and first and _network(own[0][1]) == _network(first[0][1])
        return own if at_hand else first


def _network(step: Step) -> str:
    return step if isinstance(step, str) else step.network
