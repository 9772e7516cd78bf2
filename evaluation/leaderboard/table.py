"""Build the leaderboard from the ledger: a row for each cell, worst case and mean over seeds, per metric."""

from collections.abc import Iterator

import pandas as pd

from ..grid.bundles import Bundle, bundles
from .columns import COLUMNS
from .differences import Made, with_differences
from .findings import Findings
from .flags import twice
from .grouping import grouped
from .source import ScoredRun, Source
from .system_rows import Row, SystemRows, flag_twice


def leaderboard(run: ScoredRun) -> pd.DataFrame:
    """Return the leaderboard of a run, with the columns of `COLUMNS`.

    A cell that failed has status `error` and no numbers, a cell that was not reached is `pending`.
    """
    return pd.DataFrame(leaderboard_rows(run), columns=list(COLUMNS)).astype({"successes": "Int64"})


def leaderboard_rows(run: ScoredRun) -> list[Row]:
    """Return the rows of the leaderboard as dictionaries, in which missing values stay None instead of NaN."""
    return [row for source in run.sources for row in _rows(source)]


def system_rows(source: Source) -> Iterator[SystemRows]:
    """Yield the rows of each system of a model, the bare one first, with which the others are compared.

    Each holds the scores of its cells in memory, so that it is best dropped before the next one is taken.
    """
    undefended = None
    for same in grouped(source.cells, lambda cell: cell.defense.digest).values():
        found = SystemRows(source, same, undefended, Findings(source))
        undefended = found.undefended
        yield found


def _rows(source: Source) -> list[Row]:
    """Return a row for each cell, and after the last cell of a bundle one row for the bundle on each system."""
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
    whole = {source.key(cell): cell for cell in source.cells}
    last = {bundle: key for key, cell in whole.items() for bundle in bundles(cell)}
    made = []
    for key in whole:
        made.append(of_cells[key])
        made += [one for (bundle, _, _), one in together.items() if last[bundle] == key]
    return with_differences(made)
