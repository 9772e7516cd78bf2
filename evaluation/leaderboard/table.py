"""From the ledger to the leaderboard: one row per cell and metric, and one for the best attack of each group."""

import json
from collections.abc import Iterator

import pandas as pd

from ..engine.grid import cells
from ..ledger.ledger import Ledger
from ..recipe.entries import Knowledge
from ..recipe.recipe import Recipe
from .bundles import Bundle, bundles
from .columns import COLUMNS
from .flags import twice
from .grouping import grouped
from .source import Facts as Facts
from .source import Source
from .system_rows import Row, SystemRows, flag_twice
from .system_rows import run_name as run_name


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
    """A row a cell, and after the last of a bundle one row a system for all of it."""
    whole = cells(source.recipe, source.model)
    keys = [source.key(cell) for cell in whole]
    cell_rows: dict[str, Row] = {}
    together: dict[tuple[Bundle, str, Knowledge], Row] = {}
    undefended, fingerprints = None, {}
    for same in grouped(whole, lambda cell: cell.defense.digest).values():  # the bare model comes first
        found = SystemRows(source, same, undefended)
        undefended = found.undefended
        fingerprints |= found.fingerprints
        cell_rows |= found.of_cells
        for bundle, knowledge in found.members:
            together[bundle, same[0].defense.digest, knowledge] = found.of_bundle(bundle, knowledge)
    flag_twice([*cell_rows.values(), *together.values()], twice(fingerprints))
    last = {bundle: key for key, cell in zip(keys, whole, strict=True) for bundle in bundles(cell)}
    rows = []
    for key in keys:
        rows.append(cell_rows[key])
        rows += [row for (bundle, _, _), row in together.items() if last[bundle] == key]
    return _beyond_pgd(_with_gaps(rows))


def _with_gaps(rows: list[Row]) -> list[Row]:
    """How many points more an attack fools when it knows the defense, at the row of the one that does."""
    same = ("source_model", "attack", "attack_params", "seed", "norm", "eps", "defense", "defense_params")
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
        if row["attack"] == "pgd" and facts.get("steps") == 10 and not facts.get("aim") and row["status"] == "ok"
    }
    for row, facts in zip(rows, parameters, strict=True):
        before = pgd.get(tuple(row[key] for key in same))
        if "worst_of" in facts and before is not None and row["status"] == "ok":
            row["gfr_over_pgd10"] = round(row["gfr"] - before, 2)
    return rows
