"""`foolbench verify`: recompute rows of a finished run, and say of each whether it holds, or why not."""

import random
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from ...core.errors import ConfigError
from ..grid.labels import knowledges
from ..opening.recipes import load_recipe
from ..report.agreement import Deviation
from ..report.claims import Claims, read_claims
from ..report.results import choose_device
from ..report.verify import Verification, verify
from .console import say

USUAL = 3
"""The number of rows that are verified by default."""


def claimed(run: Path, recipe: str | None, overrides: list[str]) -> Claims:
    """Return the rows to verify: those of a run's folder, or of a table and the recipe that made it.

    Raises ConfigError for overrides without a recipe, and ConfigError or OutputError for a run that cannot be read.
    """
    if overrides and recipe is None:
        raise ConfigError("Expected --set beside --recipe, which it changes: the folder of a run has its own recipe.")
    return read_claims(run, None if recipe is None else load_recipe(recipe, overrides))


def show(claims: Claims, numbers: Sequence[int], device: str) -> None:
    """Verify rows and print the outcome of each. Raises typer.Exit if one does not hold, or on an interrupt."""
    holding, device = 0, choose_device(device)
    try:
        for done, verdict in enumerate(verify(claims, numbers, device, Console(stderr=True, emoji=False)), start=1):
            _show(verdict)
            holding += verdict.holds
            if done == len(numbers):
                say(f"{holding} of {done} rows hold.", style="bold")
    except KeyboardInterrupt:
        say("Interrupted.", style="yellow")
        raise typer.Exit(130) from None
    if holding < len(numbers):
        raise typer.Exit(1)


def chosen(
    claims: Claims, rows: Sequence[int], *, everything: bool, sample: int | None, seed: int | None
) -> Sequence[int]:
    """Return the numbers of the rows to verify: those that are asked for, or a random sample.

    Raises ConfigError for a number without a row, and for several of `rows`, `everything` and `sample` at once.
    """
    if (bool(rows) + everything + (sample is not None)) > 1:
        raise ConfigError("Expected one of --row, --all and --sample, got several.")
    there = range(1, len(claims.rows) + 1)
    if rows:
        for number in rows:
            if number not in there:
                raise ConfigError(f"Expected --row from 1 to {len(there)}, the rows below the heading, got {number}.")
        return list(dict.fromkeys(rows))
    count = len(there) if everything else min(len(there), USUAL if sample is None else sample)
    if count == len(there):
        return there
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    say(f"{count} of {len(there)} rows, by --seed {seed}.", style="dim")
    return sorted(random.Random(seed).sample(there, count))


def _show(verdict: Verification) -> None:
    row = verdict.row
    crafted = f"{row['source_model']} > " if row["source_model"] != row["model"] else ""
    cell = f"{crafted}{row['model']} x {row['attack']} x {row['defense']}, {knowledges([row])[0]}"
    word = "holds" if verdict.holds else "DOES NOT HOLD"
    say(f"row {verdict.number} {word}: {cell}{_numbers(verdict)}", style=None if verdict.holds else "red")
    for deviation in verdict.deviations:
        say(f"    {_told(deviation)}")
    for reason in verdict.reasons:
        say(f"    {reason}")


def _numbers(verdict: Verification) -> str:
    agree = verdict.holds and not verdict.deviations and verdict.row["status"] == "ok"
    return f": gfr {verdict.row['gfr']}, every rate to the digit" if agree else ""


def _told(deviation: Deviation) -> str:
    explained = f": within {deviation.explained}" if deviation.explained else ", which nothing explains"
    return f"{deviation.column} is {deviation.found or 'none'}, not {deviation.claimed or 'none'}{explained}"
