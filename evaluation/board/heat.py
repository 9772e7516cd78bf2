"""Matrices of fooling rates on a board: defenses by attacks, and transfer between networks or between defenses.

An attack with several seeds is represented by their mean.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..leaderboard.grouping import grouped
from ..report import matrices
from ..report.matrices import Matrix, matrix
from .board import Part, Row


def heatmap(part: Part) -> Matrix[Row] | None:
    """Return a part's matrix of defenses by attacks crafted on the network itself, or None if there are none.

    Adaptive attacks have columns of their own. Every attack knows the bare network, whose rate stands in both.
    """
    rows = [row for row in part.rows if not row.transfers and not row.of_one_seed]
    tried = grouped([row for row in rows if not row.bare], lambda row: row.attack)
    several = len({row["knowledge"] for row in rows}) > 1

    def columns(row: Row) -> list[str]:
        if not several:
            return [row.attack]
        known = [row["knowledge"]]
        if row.bare:
            known = list(dict.fromkeys(other["knowledge"] for other in tried.get(row.attack, ()))) or known
        return [f"{row.attack}, {knowledge}" for knowledge in known]

    return matrix(part.title, "defense", rows, lambda row: row.defense, columns) if rows else None


def transfers(parts: Sequence[Part]) -> list[Matrix[Row]]:
    """Return the matrices of transfer between networks, over all parts of one setting and metric."""
    rows = [(part.setting, row) for part in parts for row in part.rows if not row.sourceless]
    return [
        replace(found, title=", ".join(filter(None, [found.title, setting])))
        for (setting, _), same in grouped(rows, lambda known: (known[0], known[1]["metric"])).items()
        for found in matrices.transfers([row for _, row in same])
        if any(row.foreign for row in found.rows)
    ]


def crossings(part: Part) -> list[Matrix[Row]]:
    """Return a part's matrices of transfer between defenses."""
    return [replace(found, title=f"{part.title}: {found.title}") for found in matrices.crossings(part.rows)]
