"""From the ledger to the leaderboard: one row per cell and metric, and one for the best attack of each group."""

import json
from collections.abc import Hashable

import pandas as pd

from ..engine.grid import Cell, cells
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .columns import COLUMNS
from .flags import twice
from .source import Facts as Facts
from .source import Source
from .system_rows import Row, SystemRows, flag_twice, grouped
from .system_rows import run_name as run_name
from .system_rows import worst_case as worst_case


def leaderboard(recipe: Recipe, facts: Facts, ledger: Ledger) -> pd.DataFrame:
    """Rates in percent. A cell that failed has an error and no numbers, one that was not reached is pending."""
    rows = []
    for model in recipe.model_labels:
        for name, metric in facts.task.metrics.items():
            source = Source(recipe=recipe, facts=facts, ledger=ledger, model=model, name=name, metric=metric)
            rows += _rows(source)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(source: Source) -> list[Row]:
    """A row a cell, and after the last attack of a group one row a system for the best of them."""
    whole = [cell for _, row in cells(source.recipe, source.model) for cell in row]
    cell_rows: dict[str, Row] = {}
    worst: dict[Hashable, Row] = {}
    undefended, fingerprints = None, {}
    for system, same in grouped(whole, lambda cell: cell.defense.digest).items():  # the bare model comes first
        found = SystemRows(source, same, undefended)
        undefended = found.undefended
        fingerprints |= found.fingerprints
        cell_rows |= {source.key(cell): found.of_cell(cell) for cell in same}
        worst |= {(system, cell.job.group, cell.knowledge): found.of_group(cell) for cell in same if cell.job.group}
    flag_twice([*cell_rows.values(), *worst.values()], twice(fingerprints))
    last = {cell.job.group: place for place, cell in enumerate(whole)}
    rows = []
    for place, cell in enumerate(whole):
        rows.append(cell_rows[source.key(cell)])
        if cell.job.group and last[cell.job.group] == place:
            rows += [worst[system] for system in _systems(whole, cell.job.group)]
    return _beyond_pgd(_with_gaps(rows))


def _systems(whole: list[Cell], group: str) -> list[Hashable]:
    """Those that a group attacked, each with what was known of it, in the order of the grid."""
    return list(dict.fromkeys((c.defense.digest, group, c.knowledge) for c in whole if c.job.group == group))


def _with_gaps(rows: list[Row]) -> list[Row]:
    """How many points more an attack fools when it knows the defense, at the row of the one that does."""
    same = ("attack", "attack_params", "norm", "eps", "defense", "defense_params")
    oblivious = {tuple(row[key] for key in same): row.get("gfr") for row in rows if row["knowledge"] == "oblivious"}
    for row in rows:
        before = oblivious.get(tuple(row[key] for key in same))
        if row["knowledge"] == "adaptive" and before is not None and row["status"] == "ok":
            row["gfr_gap"] = round(row["gfr"] - before, 2)
    return rows


def _beyond_pgd(rows: list[Row]) -> list[Row]:
    """How many points more a group of attacks fools than PGD of ten steps that knows as much, at the group's row."""
    same = ("knowledge", "norm", "eps", "defense", "defense_params")
    parameters = [json.loads(row["attack_params"]) for row in rows]
    pgd = {
        tuple(row[key] for key in same): row["gfr"]
        for row, facts in zip(rows, parameters, strict=True)
        if row["attack"] == "pgd" and facts["steps"] == 10 and row["status"] == "ok"
    }
    for row, facts in zip(rows, parameters, strict=True):
        before = pgd.get(tuple(row[key] for key in same))
        if "worst_of" in facts and before is not None and row["status"] == "ok":
            row["gfr_over_pgd10"] = round(row["gfr"] - before, 2)
    return rows
