"""Read a run for a board: its table, and what is known of how it was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from ..report.manifest import check_made_by, manifest_of, read_manifest


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run; `path` is its folder, or its table if there is no folder.

    `makers` hold versions and hardware, `data` the fingerprint of the images for each network, `command` the command
    line, `commit` and `written` the time and the commit of the code. A table without a manifest has none of these, and
    no recipe. `curves` and `layers` are those of a folder.
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
        return is_folder(self.path)


def read_run(path: Path, table: pd.DataFrame | None = None) -> Run:
    """Read a run from its folder, or from a leaderboard.csv alone, with the manifest that may lie beside it.

    The `table` of a folder is made from its ledger if it is not given. Raises ConfigError if `path` is neither a folder
    nor a file, and OutputError if it is damaged.
    """
    if is_file(path):
        alone = Run(path=path, table=_numbered(read_rows(path)))
        if not is_file(manifest_of(path)):
            return alone
        check_made_by(path, set(alone.table.run))
        return replace(alone, **_told(path))
    if not is_folder(path):
        raise ConfigError(f"Expected the folder of a run, or a leaderboard.csv, found none at {path}.")
    with finished_run(path) as found:
        table = leaderboard(found) if table is None else table
        return Run(path=path, table=table, curves=curves(found), layers=moved_layers(found), **_told(path))


def _told(path: Path) -> dict[str, Any]:
    """Return what the manifest of a run tells, by field of `Run`. Raises OutputError without a valid one."""
    recipe, facts = read_manifest(path)
    manifest: dict[str, Any] = json.loads(manifest_of(path).read_text(encoding="utf-8"))
    return {
        "recipe": recipe,
        "makers": read_makers(path),
        "data": {name: str(identity["data"]) for name, identity in facts.identities.items()},
        "command": [str(word) for word in manifest.get("command", [])],
        "commit": str(manifest.get("commit") or ""),
        "written": str(manifest.get("written", "")),
    }


def _numbered(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return rows of text as a table with the columns and types that `leaderboard` gives it."""
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if name not in TEXTS]
    table[numbers] = table[numbers].apply(pd.to_numeric)
    texts = table[list(TEXTS)].astype(object)
    table[list(TEXTS)] = texts.where(texts.notna(), "")
    return table.astype({"n": int})
