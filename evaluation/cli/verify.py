"""The command `foolbench verify`: do the rows of a finished run hold?"""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Device, Plugins, folder_name, load_plugins


def verify(
    run: Annotated[
        Path, typer.Argument(parser=folder_name, metavar="DIR|FILE.csv", help="The folder of a run, or its table.")
    ],
    row: Annotated[
        list[int] | None, typer.Option(help="Number of a row of leaderboard.csv; the first below the heading is 1.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row.")] = False,
    sample: Annotated[int | None, typer.Option(min=1, help="So many rows, by chance; 3 if nothing says which.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of that choice; a new one if not given, so that none is known.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="For a table without its folder: what it was made by.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="For that recipe: KEY=VALUE.")] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> None:
    """Compute rows of a finished run anew, and say of each whether it holds, and why not if not.

    It takes as long as these rows took. Exit code 1 where one does not hold.
    """
    load_plugins(plugin)
    from ...core.errors import ConfigError
    from ..recipe.reading import load_recipe
    from ..report.claims import read_claims
    from ..report.results import choose_device
    from .verdicts import chosen, show

    if overrides and recipe is None:
        raise ConfigError("Expected --set beside --recipe, which it changes: the folder of a run has its own recipe.")
    claims = read_claims(run, None if recipe is None else load_recipe(recipe, overrides))
    numbers = chosen(claims, row or [], everything=everything, sample=sample, seed=seed)
    show(claims, numbers, choose_device(device))
