"""Without a terminal there is a line per cell and one now and then; in a terminal the times are always to be seen."""

import io
import re
import time

import pytest
from foolbench.evaluation.engine.work import progress as progress_module
from foolbench.evaluation.engine.work.progress import Progress
from rich.console import Console

TIMES = r"\d+:\d\d:\d\d eta (\d+:\d\d:\d\d|-:--:--)"


def console(width=200, *, terminal=False):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal)


def text(shown):
    return shown.file.getvalue()


def test_a_line_per_finished_cell(capsys):
    shown = console()
    with Progress(shown, 40, "tiny") as progress:
        progress.main.skip(10)
        progress.finished("a [/b] cell")
        progress.main.advance(10)
        progress.finished("another")
    first, second = text(shown).splitlines()
    assert re.fullmatch(r"a \[/b\] cell  10/40 images  \d:\d\d:\d\d eta -:--:--", first)
    assert re.fullmatch(rf"another  20/40 images  {TIMES}", second)


def test_a_line_now_and_then_in_a_long_step(monkeypatch):
    monkeypatch.setattr(progress_module, "EVERY", 0.01)
    shown = console()
    with Progress(shown, 40, "tiny") as progress, progress.step("  gd-uap, prior none", 1, "iterations") as step:
        step.at(3, 10, "iterations, 20% fooled")
        deadline = time.monotonic() + 10
        while not text(shown) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert re.match(rf"  gd-uap, prior none  3/10 iterations, 20% fooled  {TIMES}", text(shown))


def test_what_an_earlier_run_has_done_does_not_shorten_the_rest():
    with Progress(console(), 110, "tiny") as progress:
        task = progress.main.task
        progress.main.skip(100)
        progress.main.advance(5)
        task.start_time = task.get_time() - 10
        assert progress_module._times(task).partition(" eta ")[2] in ("0:00:10", "0:00:11")


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_in_a_terminal_the_times_are_to_be_seen(width):
    shown = console(width, terminal=True)
    with (
        Progress(shown, 10_240, "scenes:googlenet  carlini-wagner, with a long name") as progress,
        progress.step("  universal-pgd, prior data", 40_000, "iterations, 100% fooled") as step,
    ):
        step.advance(1_000)
        progress._bars.refresh()
    lines = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text(shown)).splitlines() if "eta" in line]
    assert lines
    assert all(re.search(TIMES, line) and len(line.rstrip("\r")) <= width for line in lines)


def test_what_is_expected_counts_instead_of_the_counts():
    with Progress(console(), 100, "tiny") as progress:
        progress.main.advance(50)
        progress.main.task.start_time = progress.main.task.get_time() - 10
        progress.main.expect(200.0)
        assert progress_module._times(progress.main.task).partition(" eta ")[2] in ("0:03:20", "0:03:21")
        progress.main.task.start_time -= 60
        assert progress_module._times(progress.main.task).partition(" eta ")[2] in ("0:02:20", "0:02:21")
        progress.main.task.start_time -= 600
        assert progress_module._times(progress.main.task).partition(" eta ")[2] in ("0:11:10", "0:11:11")
