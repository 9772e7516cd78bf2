"""Show the progress and the remaining time of a run: bars in a terminal or notebook, occasional lines elsewhere."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from importlib.util import find_spec
from threading import Event, Thread
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

EVERY = 30.0
"""Seconds between two lines about work in progress, where there are no bars."""
ROOM_FOR_BARS = 100
"""The width, in characters, from which a terminal shows bars; a narrower one needs the space for words."""


class Bar(Protocol):
    """The progress of one step."""

    def advance(self, amount: int) -> None: ...

    def at(self, done: int, total: int, unit: str) -> None: ...


class Steps(Protocol):
    """A display of long steps, such as `Progress`."""

    def step(self, what: str, total: int, unit: str) -> AbstractContextManager[Bar]: ...


class Progress:
    """A main bar that counts images, and further bars for long steps and for concurrent workers.

    Without a terminal or a notebook with ipywidgets, a line is printed by `finished` and every half a minute instead.
    """

    def __init__(self, console: Console, total: int, what: str) -> None:
        self._console = console
        in_notebook = console.is_jupyter and find_spec("ipywidgets") is not None  # by which rich draws bars there
        self._lines = not (console.is_terminal or in_notebook)
        columns = _columns(console.width)
        self._bars = Bars(*columns, console=console, transient=True, expand=True, disable=self._lines)
        self._over = Event()
        self._steps: list[Step] = []
        self.main = self._begin(what, total, "images")

    def __enter__(self) -> "Progress":
        if self._lines:
            Thread(target=self._talk, daemon=True).start()
        else:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if not self._lines:
            self._bars.stop()

    @contextmanager
    def step(self, what: str, total: int, unit: str) -> Iterator["Step"]:
        """Context manager: show a further bar, which disappears when the step ends."""
        step = self._begin(what, total, unit)
        try:
            yield step
        finally:
            self.remove(step)

    def place(self, what: str) -> "Step":
        """Return a new bar for one of several concurrent workers, to be removed with `remove`."""
        return self._begin(what, 1, "")

    def remove(self, step: "Step") -> None:
        self._steps.remove(step)
        self._bars.remove_task(step.task.id)

    def finished(self, what: str) -> None:
        """Report that a part of the run, such as a cell, is finished: print a line, unless there are bars."""
        if self._lines:
            self._print(f"{what}  {_state(self.main.task)}")

    def _begin(self, what: str, total: int, unit: str) -> "Step":
        self._bars.add_task(what, total=total, unit=unit, earlier=0, end=None)
        step = Step(self._bars, self._bars.tasks[-1])
        self._steps.append(step)
        return step

    def _talk(self) -> None:
        while not self._over.wait(EVERY):
            for step in self._steps[1:] or self._steps:
                self._print(f"{step.task.description}  {_state(step.task)}")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)


class Step:
    """One bar of a `Progress`."""

    def __init__(self, bars: Bars, task: Task) -> None:
        self._bars, self.task = bars, task

    def advance(self, amount: int) -> None:
        self._bars.advance(self.task.id, amount)

    def skip(self, amount: int) -> None:
        """Count what an earlier run has done, which says nothing about the speed of this one."""
        self._bars.update(self.task.id, advance=amount, earlier=self.task.fields["earlier"] + amount)

    def expect(self, seconds: float | None) -> None:
        """Show this remaining time, in seconds, instead of an estimate from the bar's counts; None for the estimate."""
        elapsed = self.task.elapsed or 0.0
        self._bars.update(self.task.id, end=None if seconds is None else elapsed + seconds)

    def describe(self, what: str) -> None:
        self._bars.update(self.task.id, description=what)

    def at(self, done: int, total: int, unit: str) -> None:
        self._bars.update(self.task.id, completed=done, total=total, unit=unit)


class _Times(ProgressColumn):
    """The column with the elapsed and the remaining time."""

    def render(self, task: Task) -> Text:
        return Text(_times(task))


def _columns(width: int) -> list[ProgressColumn]:
    """Return the columns of a bar: in a narrow terminal words are cut short, but counts and times never are."""
    what, unit = (Column(no_wrap=True, overflow="ellipsis", ratio=ratio) for ratio in (3, 2))
    bar = [BarColumn(bar_width=None, table_column=Column(ratio=2))] if width >= ROOM_FOR_BARS else []
    return [
        TextColumn("{task.description}", markup=False, table_column=what),
        *bar,
        TextColumn("{task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[unit]}", markup=False, table_column=unit),
        _Times(table_column=Column(no_wrap=True)),
    ]


def _state(task: Task) -> str:
    return f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}  {_times(task)}"


def _times(task: Task) -> str:
    elapsed = task.elapsed or 0.0
    left = _left(task, elapsed)
    return f"{_clock(elapsed)} eta {'-:--:--' if left is None else _clock(left)}"


def _left(task: Task, elapsed: float) -> float | None:
    """Return the remaining seconds, or None if unknown: as expected or, once that time is over, from the counts."""
    if task.fields["end"] is not None and task.fields["end"] > elapsed:
        return task.fields["end"] - elapsed
    here = task.completed - task.fields["earlier"]
    return None if here <= 0 else elapsed * ((task.total or 0) - task.completed) / here


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=math.ceil(seconds)))
