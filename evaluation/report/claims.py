"""Read the rows that a leaderboard.csv claims, with what is known of the run that made it."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ...core.errors import ConfigError, OutputError, why
from ...core.files import is_file, is_folder
from ..grid.identity import Identities
from ..leaderboard.columns import CELL, DATA
from ..leaderboard.part import TextRow
from ..recipe.recipe import Recipe
from .fields import wrong_field
from .makers import Makers, read_makers
from .manifest import manifest_of, read_manifest
from .results import CSV, LEDGER
from .text import from_csv

NAMED_BY = (*DATA, *CELL, "access", "metric", "unit")
"""The columns that identify the cell of a row."""
_RATES = (f"{rate}{end}" for rate in ("clean", "gfr", "robust") for end in ("", "_low", "_high"))
"""The columns of rates that a table has had from the beginning."""
_NEEDED = {*NAMED_BY, *_RATES, "model_sha", "behaviour", "status", "cell", "crafted"}


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The rows of a leaderboard.csv, and the recipe that made them.

    The identities of networks and data and the makers of the rows are known where there is a manifest, in the folder of
    a run or beside a table; the path of the ledger is known in a folder only.
    """

    recipe: Recipe
    rows: list[TextRow]
    identities: Identities | None = None
    makers: Makers = field(default_factory=Makers)
    ledger: Path | None = None


def read_claims(path: Path, recipe: Recipe | None) -> Claims:
    """Read the claims in the folder of a run, or in a table with its manifest or with the recipe that made it.

    Raises ConfigError for a table without a recipe, a folder with one, or a missing path, and OutputError for a
    manifest or table that cannot be read.
    """
    if not is_folder(path) and not is_file(path):
        raise ConfigError(f"Expected the folder of a run, or its table, found none at {path}.")
    if is_folder(path) and recipe is not None:
        raise ConfigError(f"Expected no --recipe with the folder of a run, whose manifest has it; got {path}.")
    if recipe is not None:
        return Claims(recipe=recipe, rows=read_rows(path))
    if is_file(path) and not is_file(manifest_of(path)):
        raise ConfigError(
            f"Expected --recipe NAME or FILE.toml with {path}, or {manifest_of(path).name} beside it: a table alone "
            "does not say what made it."
        )
    recipe, facts = read_manifest(path)
    return Claims(
        recipe=recipe,
        rows=read_rows(path if is_file(path) else path / CSV),
        identities=facts.identities,
        makers=read_makers(path),
        ledger=path / LEDGER if is_file(path / LEDGER) else None,
    )


def read_rows(path: Path) -> list[TextRow]:
    """Read the rows of a leaderboard.csv as text. Raises OutputError for another file, and for invalid fields."""
    try:
        table = from_csv(pd.read_csv(path, dtype=str, keep_default_na=False).fillna(""))
    except (OSError, ValueError, MemoryError) as error:  # errors of pandas and of UTF-8 are ValueErrors
        raise OutputError(f"Expected a leaderboard.csv at {path}, but: {why(error)}.") from None
    missing = sorted(_NEEDED - set(table.columns))
    if missing:
        raise OutputError(f"Expected a leaderboard.csv at {path}, but it lacks the column {missing[0]!r}.")
    if table.empty:
        raise OutputError(f"Expected a leaderboard.csv at {path}, but it has no rows.")
    rows: list[TextRow] = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    for number, row in enumerate(rows, start=1):
        if (wrong := wrong_field(row)) is not None:
            raise OutputError(f"Expected a leaderboard.csv at {path}, but its row {number} has {wrong}.")
    return rows
