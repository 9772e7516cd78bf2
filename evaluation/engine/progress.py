"""The progress bar: which cell, how many images, how long yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Progress:
    """A main bar that counts images, and a second bar for a long step in between."""

    def __init__(self, console: Console, total: int, what: str) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.main = Step(self._bars, self._bars.add_task(what, total=total, unit="images"))

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    @contextmanager
    def step(self, what: str, total: int, unit: str) -> Iterator["Step"]:
        """A second bar that disappears when the step ends."""
        task = self._bars.add_task(what, total=total, unit=unit)
        try:
            yield Step(self._bars, task)
        finally:
            self._bars.remove_task(task)


class Step:
    """One bar."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: int) -> None:
        self._bars.advance(self._task, amount)

    def describe(self, what: str) -> None:
        self._bars.update(self._task, description=what)

    def at(self, done: int, total: int, unit: str) -> None:
        self._bars.update(self._task, completed=done, total=total, unit=unit)
