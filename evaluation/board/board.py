"""Merge the rows of one or several runs into a board, which states shared facts once and has columns for the others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ...core.errors import ConfigError
from ...core.words import budget
from ..leaderboard.columns import CELL, COLUMNS
from ..leaderboard.columns import DATA as IMAGES
from ..leaderboard.grouping import grouped
from ..report.pivot import SETTING
from ..report.rows import NamedRow, named, records
from .runs import Run

FROM, DATA, SETTINGS = "from", "data", "settings"
FACTS: Mapping[str, str] = {
    FROM: "the folder, or the table, that a row is from",
    DATA: "fingerprint of the images, as the network takes them",
    SETTINGS: "what else of the recipe decides numbers",
}
"""The columns that a run adds to its rows, beside the versions and the hardware that made them."""
_HARDWARE = ("device", "processor", "cores", "threads")
_APART = {*IMAGES, "model_sha", "behaviour", "metric"}
_TOGETHER = {*_HARDWARE, FROM, *COLUMNS} - _APART
"""The columns in which rows of one table may differ; other differences, such as versions or weights, split it."""


@dataclass(frozen=True, kw_only=True)
class Row(NamedRow):
    """A row of a board; `number` is its position on the board, `place` that in its run's own table, both from 1."""

    number: int
    place: int
    run: Run


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows that can stand in one table: of one network, on the same images, made with the same versions.

    `setting` states what distinguishes the part from others of the same network; `title` also names the network.
    """

    model: str
    setting: str
    rows: Sequence[Row]

    @property
    def title(self) -> str:
        return ", ".join(filter(None, [self.model, self.setting]))

    def by_budget(self) -> "list[Part]":
        """Split the part by norm and budget, if there are several: the rank of a defense depends on them."""
        threats = grouped(self.rows, lambda row: (row["norm"], row["eps"]))
        if len(threats) == 1 or all(row.bare for row in self.rows):
            return [self]
        named = {f"{norm}, eps {budget(eps)}": rows for (norm, eps), rows in threats.items()}
        return [
            replace(self, setting=", ".join(filter(None, [self.setting, name])), rows=rows)
            for name, rows in named.items()
        ]

    def system(self, row: Row) -> str:
        """Return the title, with the defense that `row` is scored through."""
        return self.title if row.bare else f"{self.title} behind {row.defense}"


@dataclass(frozen=True, kw_only=True)
class Board:
    """The rows of one or several runs.

    `shared` has the values that are the same in all rows, `differing` the columns that differ; columns without any
    value are in neither. `repeated` counts the rows of later runs that were left out as equal to those of earlier ones.
    """

    runs: Sequence[Run]
    rows: Sequence[Row]
    parts: Sequence[Part]
    shared: Mapping[str, Any]
    differing: Sequence[str]
    repeated: int

    def frame(self) -> pd.DataFrame:
        """Return the rows with the leaderboard's and all differing columns; `setting` names the part of each row."""
        settings = {row.number: part.setting for part in self.parts for row in part.rows}
        names = list(dict.fromkeys([*COLUMNS, *self.differing]))
        listed = [{name: row.values.get(name) for name in names} | {SETTING: settings[row.number]} for row in self.rows]
        return pd.DataFrame(listed, columns=[*names, SETTING])


def make_board(runs: Sequence[Run]) -> Board:
    """Merge runs, in their order, into a board, without the rows that equal one of an earlier run to the digit.

    Raises ConfigError if there are no rows.
    """
    listed = [
        (run, place, values | _facts(run, values))
        for run in runs
        for place, values in enumerate(records(run.table), start=1)
    ]
    if not listed:
        raise ConfigError("Expected runs with rows, got none.")
    first: dict[str, tuple[Run, int, dict[str, Any]]] = {}
    for run, place, values in listed:
        first.setdefault(_same(values), (run, place, values))
    kept = list(first.values())
    rows = [
        Row(**vars(row), number=number, place=place, run=run)
        for number, ((run, place, _), row) in enumerate(zip(kept, named([own for *_, own in kept]), strict=True), 1)
    ]
    columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row.values)]))
    found = {name: {row[name] for row in rows} for name in columns}
    return Board(
        runs=runs,
        rows=rows,
        parts=_parts(rows, columns),
        shared={name: rows[0][name] for name in columns if len(found[name]) == 1 and rows[0][name] is not None},
        differing=[name for name in columns if len(found[name]) > 1],
        repeated=len(listed) - len(kept),
    )


def _facts(run: Run, values: Mapping[str, Any]) -> dict[str, Any]:
    recipe = run.recipe
    settings = {SETTINGS: values["recipe"]}  # a table alone says no more of its settings
    if recipe is not None:
        draws = f"{recipe.draws} draws, {recipe.eot_draws} EOT draws"
        scored = [f"{name} = {value}" for name, value in recipe.task.items()]
        settings = {SETTINGS: ", ".join([f"seed {recipe.seed}", recipe.storage, draws, *scored])}
    return {FROM: str(run.path), DATA: run.data.get(values["model"]), **settings, **run.makers.of(values)}


def _same(values: Mapping[str, Any]) -> str:
    """Return a key that is equal for rows that agree in all but their recipe, run, file and time."""
    ignored = ("recipe", "run", "seconds", FROM)
    return json.dumps({name: value for name, value in values.items() if name not in ignored}, default=str)


def _parts(rows: Sequence[Row], columns: Sequence[str]) -> list[Part]:
    """Split the rows by network, and further where they differ in more than the columns that name a cell."""
    by_model = grouped(rows, lambda row: row["model"]).values()
    apart = [
        name
        for name in columns
        if name not in _TOGETHER and any(len({row[name] for row in same}) > 1 for same in by_model)
    ]
    if len({tuple(row[name] for name in (*CELL, *apart)) for row in rows}) < len(rows):
        apart.append(FROM)  # one cell in two runs, with different numbers
    parts = grouped(rows, lambda row: tuple(row[name] for name in ("model", *apart))).values()
    return [Part(model=str(same[0]["model"]), setting=_told(same[0], apart), rows=same) for same in parts]


def _told(row: Row, apart: Sequence[str]) -> str:
    return ", ".join(str(row[name]) if name == "metric" else f"{name} {row[name] or 'unknown'}" for name in apart)
