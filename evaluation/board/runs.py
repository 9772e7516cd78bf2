"""Read a run for a board: its table, and what is known of how it was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ...core.errors import ConfigError
from ...core.files import is_file, is_folder
from ..leaderboard.columns import COLUMNS, TEXTS
from ..leaderboard.curve import Curve
from ..leaderboard.curves import curves
from ..leaderboard.layers import Moved, moved_layers
from ..leaderboard.table import leaderboard
from ..recipe.recipe import Recipe
from ..report.claims import read_rows
from ..report.finished import finished_run
from ..report.makers import Makers, read_makers
from ..report.manifest import MANIFEST


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run; `path` is its folder, or its leaderboard.csv if there is no folder.

    `makers` hold versions and hardware, `data` the fingerprint of the images for each network, `command` the command
    line, `commit` and `written` the time and the commit of the code. A table alone has none of these, and no recipe,
    `curves` or `layers`.
    """

    path: Path
    table: pd.DataFrame
    recipe: Recipe | None = None
    curves: Sequence[Curve] = ()
    layers: Sequence[Moved] = ()
    makers: Makers = field(default_factory=Makers)
    data: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    commit: str = ""
    written: str = ""

    @property
    def has_folder(self) -> bool:
        return self.recipe is not None


def read_run(path: Path, table: pd.DataFrame | None = None) -> Run:
    """Read a run from its folder, or from a leaderboard.csv alone.

    The `table` of a folder is made from its ledger if it is not given. Raises ConfigError if `path` is neither a folder
    nor a file, and OutputError if it is damaged.
    """
    if is_file(path):
        return Run(path=path, table=_numbered(read_rows(path)))
    if not is_folder(path):
        raise ConfigError(f"Expected the folder of a run, or a leaderboard.csv, found none at {path}.")
    with finished_run(path) as found:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        return Run(
            path=path,
            table=leaderboard(found) if table is None else table,
            recipe=found.recipe,
            curves=curves(found),
            layers=moved_layers(found),
            makers=read_makers(path),
            data={name: str(identity["data"]) for name, identity in found.facts.identities.items()},
            command=[str(word) for word in manifest.get("command", [])],
            commit=str(manifest.get("commit") or ""),
            written=str(manifest.get("written", "")),
        )


def _numbered(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return rows of text as a table with the columns and types that `leaderboard` gives it."""
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if name not in TEXTS]
    table[numbers] = table[numbers].apply(pd.to_numeric)
    texts = table[list(TEXTS)].astype(object)
    table[list(TEXTS)] = texts.where(texts.notna(), "")
    return table.astype({"n": int})
