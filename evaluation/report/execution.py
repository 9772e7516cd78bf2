"""From a recipe to its table: what `foolbench run` and `foolbench.evaluate` have in common."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console

from ..engine import grid
from ..engine.prepare import prepare
from ..engine.progress import Progress
from ..engine.run import run
from ..recipe.recipe import Recipe
from .results import Results


class Execution(NamedTuple):
    """The table of all that is finished, and whether somebody has broken the run off before the rest was."""

    table: pd.DataFrame
    interrupted: bool


def execute(recipe: Recipe, folder: Path, device: str, console: Console) -> Execution:
    """Run what the folder's ledger lacks, and write its files. Raises FoolbenchError where it cannot begin or go on."""
    interrupted = False
    with Results(folder) as results:
        prepared = prepare(recipe, results.ledger, device)
        results.write_manifest(recipe, prepared.facts, device)
        try:
            with Progress(console, scored_images(recipe), recipe.name) as progress:
                run(prepared, results.ledger, folder, device=device, progress=progress)
        except KeyboardInterrupt:
            interrupted = True
        finally:  # also where nothing can be shown any more
            table = results.write_leaderboard(recipe, prepared.facts)
    return Execution(table, interrupted)


def scored_images(recipe: Recipe) -> int:
    """How often some image is scored, of all cells."""
    return recipe.samples * sum(len(row) for source in recipe.networks for _, row in grid.jobs(recipe, source))
