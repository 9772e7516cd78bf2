"""`foolbench run`: run a recipe, print its table and gates, and write its page."""

from pathlib import Path

import typer

from ..board.files import publish
from ..engine.cache.cache import Cache
from ..engine.executors.machines import Machines
from ..opening.recipes import load_recipe
from ..report.execution import execute
from ..report.results import choose_device
from ..report.tables import terminal
from .console import console, say

GATE_FAILED = 3
"""The exit code of a run without failed cells in which a gate failed."""
STYLES = {"passed": "green", "failed": "red", "undecided": "yellow", "unknown": "red"}
"""The style in which a gate is printed, by its outcome."""


def run(
    source: str, out: Path | None, overrides: list[str], device: str, machines: Machines, cache: Cache | None
) -> None:
    """Run a recipe into the folder `out`, by default runs/RECIPE, and print its results.

    Raises typer.Exit if the run was interrupted, or if cells or gates failed.
    """
    recipe = load_recipe(source, overrides)
    device = choose_device(device)
    folder = out or Path("runs") / recipe.name
    table, verdicts, interrupted = execute(recipe, folder, device, console, machines, cache=cache)
    console.print(terminal(table, console.width))
    for verdict in verdicts:
        say(f"Gate {verdict}", style=STYLES[verdict.outcome])
    page = publish(folder, table)
    say(f"Written to {folder}: {page}, leaderboard.csv, leaderboard.md, manifest.json, ledger.sqlite", style="dim")
    if interrupted:
        console.print("Interrupted. What is finished is kept; the same command goes on from there.", style="yellow")
        raise typer.Exit(130)
    failed = int((table.status != "ok").sum())
    if failed:
        console.print(f"{failed} of {len(table)} cells failed.", style="red")
        raise typer.Exit(1)
    if any(verdict.outcome in ("failed", "unknown") for verdict in verdicts):
        raise typer.Exit(GATE_FAILED)
