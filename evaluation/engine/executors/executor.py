"""The interface of all executors."""

from collections.abc import Collection
from typing import Protocol

from ..work.schedule import Step
from ..work.units import Ended, Lost, Result, Unit


class Executor(Protocol):
    """Carries out units of work at its `places`, numbered from 0, each of which takes one unit at a time."""

    places: int

    def idle(self) -> Collection[int]:
        """Return the places that can take a unit."""
        ...

    def begin(self, place: int, unit: Unit, following: Step | None) -> None:
        """Give a unit to an idle place; `following`, the step that it may get next, is a hint to read ahead."""
        ...

    def wait(self) -> tuple[int, Result | Ended | Lost] | None:
        """Wait for the next event, and return it with its place: a unit's results one by one, then Ended or Lost.

        Returns None if another place has become idle. Raises OutputError if a result could not be stored.
        """
        ...

    def close(self) -> None:
        """Stop all units, and release all resources."""
        ...
