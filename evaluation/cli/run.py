"""Run a recipe and show what it has found."""

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
"""Exit code: everything has run, and something is not as robust as a gate demands."""
STYLES = {"passed": "green", "failed": "red", "undecided": "yellow", "unknown": "red"}
"""Of lines on gates, by what they came to."""


def run(
    source: str, out: Path | None, overrides: list[str], device: str, machines: Machines, cache: Cache | None
) -> None:
    """Raises typer.Exit where it was interrupted, or where cells or gates failed."""
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
