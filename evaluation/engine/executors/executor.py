"""What all executors have in common."""

from collections.abc import Collection
from typing import Protocol

from ..work.schedule import Step
from ..work.units import Ended, Lost, Result, Unit


class Executor(Protocol):
    """Has `places`, numbered from 0, each of which carries out one unit at a time."""

    places: int

    def idle(self) -> Collection[int]:
        """Those that wait for a unit."""
        ...

    def begin(self, place: int, unit: Unit, following: Step | None) -> None:
        """Give one of them a unit; what it may be given next is a hint."""
        ...

    def wait(self) -> tuple[int, Result | Ended | Lost] | None:
        """The next that comes of a place's unit: results, one after the other, then that it has ended, or was lost.

        None where another place has become idle. Raises OutputError where something could not be kept.
        """
        ...

    def close(self) -> None:
        """End what is being done, and give everything back."""
        ...
