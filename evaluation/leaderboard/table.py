"""From the ledger to the leaderboard: one row per cell and metric, and one for the best attack of each group."""

from collections.abc import Iterator

import pandas as pd

from ..grid.bundles import Bundle, bundles
from ..grid.facts import Facts
from ..grid.grid import cells
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .columns import COLUMNS
from .differences import Made, with_differences
from .findings import Findings
from .flags import twice
from .grouping import grouped
from .source import Source
from .system_rows import Row, SystemRows, flag_twice
from .system_rows import run_name as run_name


def leaderboard(recipe: Recipe, facts: Facts, ledger: Ledger) -> pd.DataFrame:
    """Rates in percent. A cell that failed has an error and no numbers, one that was not reached is pending."""
    return pd.DataFrame(leaderboard_rows(recipe, facts, ledger), columns=list(COLUMNS))


def leaderboard_rows(recipe: Recipe, facts: Facts, ledger: Ledger) -> list[Row]:
    """The same before they are a table, where what some rows have not, as a seed, is NaN instead of None."""
    return [row for source in sources(recipe, facts, ledger) for row in _rows(source)]


def sources(recipe: Recipe, facts: Facts, ledger: Ledger) -> Iterator[Source]:
    """Each model with each of its metrics."""
    for model in recipe.model_labels:
        for name, metric in facts.task.metrics.items():
            yield Source(recipe=recipe, facts=facts, ledger=ledger, model=model, name=name, metric=metric)


def system_rows(source: Source) -> Iterator[SystemRows]:
    """Of each system of a model, the bare one first, with whose clean rate the others are compared.

    One after the other, as each holds the scores of its cells.
    """
    undefended = None
    for same in grouped(cells(source.recipe, source.model), lambda cell: cell.defense.digest).values():
        found = SystemRows(source, same, undefended, Findings(source))
        undefended = found.undefended
        yield found


def _rows(source: Source) -> list[Row]:
    """A row a cell, and after the last of a bundle one row a system for all of it."""
    of_cells: dict[str, Made] = {}
    together: dict[tuple[Bundle, str, str], Made] = {}
    fingerprints = {}
    for found in system_rows(source):
        fingerprints |= found.findings.fingerprints
        of_cells |= {key: Made(found.of_cell(key), None, [cell]) for key, cell in found.cells.items()}
        for (bundle, through), members in found.members.items():
            row = found.of_bundle(bundle, through)
            together[bundle, found.digest, through] = Made(row, bundle, members)
    flag_twice([made.row for made in (*of_cells.values(), *together.values())], twice(fingerprints))
    whole = {source.key(cell): cell for cell in cells(source.recipe, source.model)}
    last = {bundle: key for key, cell in whole.items() for bundle in bundles(cell)}
    made = []
    for key in whole:
        made.append(of_cells[key])
        made += [one for (bundle, _, _), one in together.items() if last[bundle] == key]
    return with_differences(made)
