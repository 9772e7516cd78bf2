"""From the ledger to the leaderboard: one row per cell and metric, and one for the best attack of each group."""

import json
from collections.abc import Hashable, Iterator

import pandas as pd

from ..engine.grid import Cell, cells
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .columns import COLUMNS
from .flags import twice
from .grouping import grouped
from .source import Facts as Facts
from .source import Source
from .system_rows import Row, SystemRows, flag_twice
from .system_rows import run_name as run_name
from .system_rows import worst_case as worst_case


def leaderboard(recipe: Recipe, facts: Facts, ledger: Ledger) -> pd.DataFrame:
    """Rates in percent. A cell that failed has an error and no numbers, one that was not reached is pending."""
    rows = [row for source in sources(recipe, facts, ledger) for row in _rows(source)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sources(recipe: Recipe, facts: Facts, ledger: Ledger) -> Iterator[Source]:
    """Each model with each of its metrics."""
    for model in recipe.model_labels:
        for name, metric in facts.task.metrics.items():
            yield Source(recipe=recipe, facts=facts, ledger=ledger, model=model, name=name, metric=metric)


def _rows(source: Source) -> list[Row]:
    """A row a cell, and after the last attack of a group one row a system for the best of them."""
    whole = cells(source.recipe, source.model)
    cell_rows: dict[str, Row] = {}
    worst: dict[Hashable, Row] = {}
    undefended, fingerprints = None, {}
    for same in grouped(whole, lambda cell: cell.defense.digest).values():  # the bare model comes first
        found = SystemRows(source, same, undefended)
        undefended = found.undefended
        fingerprints |= found.fingerprints
        cell_rows |= {source.key(cell): found.of_cell(cell) for cell in same}
        worst |= {_of_group(cell): found.of_group(cell) for cell in same if cell.job.group}
    flag_twice([*cell_rows.values(), *worst.values()], twice(fingerprints))
    groups = grouped([cell for cell in whole if cell.job.group], lambda cell: (cell.job.source, cell.job.group))
    last = {source.key(members[-1]): members for members in groups.values()}
    rows = []
    for key in map(source.key, whole):
        rows.append(cell_rows[key])
        rows += [worst[system] for system in dict.fromkeys(map(_of_group, last.get(key, ())))]
    return _beyond_pgd(_with_gaps(rows))


def _of_group(cell: Cell) -> Hashable:
    """The system that a group attacked, with what was known of it and where that was crafted."""
    return cell.defense.digest, cell.job.group, cell.knowledge, cell.job.source


def _with_gaps(rows: list[Row]) -> list[Row]:
    """How many points more an attack fools when it knows the defense, at the row of the one that does."""
    same = ("source_model", "attack", "attack_params", "norm", "eps", "defense", "defense_params")
    oblivious = {tuple(row[key] for key in same): row.get("gfr") for row in rows if row["knowledge"] == "oblivious"}
    for row in rows:
        before = oblivious.get(tuple(row[key] for key in same))
        if row["knowledge"] == "adaptive" and before is not None and row["status"] == "ok":
            row["gfr_gap"] = round(row["gfr"] - before, 2)
    return rows


def _beyond_pgd(rows: list[Row]) -> list[Row]:
    """How many points more a group of attacks fools than PGD of ten steps that knows as much, at the group's row."""
    same = ("source_model", "knowledge", "norm", "eps", "defense", "defense_params")
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
