"""Arrange rows as matrices: networks (or defenses) that attacks are crafted on by those that they are scored on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..leaderboard.grouping import grouped
from .rows import NamedRow

ON, THROUGH = "crafted on", "crafted through"
_ANY = "(any)"
"""The source of an attack that needs no access to any network."""
R = TypeVar("R", bound=NamedRow)


@dataclass(frozen=True, kw_only=True)
class Matrix(Generic[R]):
    """A matrix of rows, `cells` by line and column, of which some may be missing; `corner` heads the names of lines."""

    title: str
    corner: str
    cells: Mapping[tuple[str, str], R]

    @property
    def lines(self) -> list[str]:
        return list(dict.fromkeys(line for line, _ in self.cells))

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(column for _, column in self.cells))

    @property
    def rows(self) -> list[R]:
        return list(self.cells.values())


def transfers(rows: Sequence[R]) -> list[Matrix[R]]:
    """Return a matrix of source networks by scored networks for each attack, defense and attacker's knowledge."""
    kept = [row for row in rows if not (row.crossed or row.of_one_seed)]
    settings = grouped(kept, lambda row: (row.attack, row.defense, row["knowledge"]))
    return [matrix(_setting(same[0]), ON, same, _source, lambda row: [row["model"]]) for same in settings.values()]


def crossings(rows: Sequence[R]) -> list[Matrix[R]]:
    """Return a matrix of source defenses by scored defenses for each attack and source network with crossed rows."""
    kept = [row for row in rows if not row.of_one_seed]
    attacks = grouped(kept, lambda row: (row["source_model"], row.attack)).values()
    return [
        matrix(_path(same[0]), THROUGH, same, lambda row: row.through, lambda row: [row.defense])
        for same in attacks
        if any(row.crossed for row in same)
    ]


def matrix(
    title: str, corner: str, rows: Sequence[R], line: Callable[[R], str], columns: Callable[[R], Sequence[str]]
) -> Matrix[R]:
    """Arrange rows as a matrix; a row may stand in several columns, and the first row of a place is kept."""
    cells: dict[tuple[str, str], R] = {}
    for row in rows:
        for column in columns(row):
            cells.setdefault((line(row), column), row)
    return Matrix(title=title, corner=corner, cells=cells)


def _source(row: NamedRow) -> str:
    return _ANY if row.sourceless else row["source_model"]


def _setting(row: NamedRow) -> str:
    through = "" if row.bare else f" through {row.defense}"
    return f"{row.attack}{through}{', knowing it' if row.adaptive else ''}"


def _path(row: NamedRow) -> str:
    return row.attack if row["source_model"] == row["model"] else f"{row.attack} from {row['source_model']}"
