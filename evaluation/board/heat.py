"""Fooling rates as matrices that a board shows: of each network, and from one network or one defense to another.

An attack of several seeds is there by their mean.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..leaderboard.grouping import grouped
from ..report import matrices
from ..report.matrices import Matrix, matrix
from .board import Part, Row


def heatmap(part: Part) -> Matrix[Row] | None:
    """Defenses by attacks, knowing ones in columns of their own; of what was crafted on the network itself.

    Every attack knows the bare network: its rate stands in both columns of an attack.
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
    """From one network to another, where there is any; of all parts of one setting and metric."""
    rows = [(part.setting, row) for part in parts for row in part.rows if not row.sourceless]
    return [
        replace(found, title=", ".join(filter(None, [found.title, setting])))
        for (setting, _), same in grouped(rows, lambda known: (known[0], known[1]["metric"])).items()
        for found in matrices.transfers([row for _, row in same])
        if any(row.foreign for row in found.rows)
    ]


def crossings(part: Part) -> list[Matrix[Row]]:
    """From one defense to another."""
    return [replace(found, title=f"{part.title}: {found.title}") for found in matrices.crossings(part.rows)]
