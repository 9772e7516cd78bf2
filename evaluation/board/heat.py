"""Fooling rates as matrices: defenses by attacks; networks that attacks are crafted on by those they are scored on;
defenses that they are crafted through by those that they are scored through.

An attack of several seeds is there by their mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...core.registry import NOTHING
from ..leaderboard.grouping import grouped
from .board import Part, Row


@dataclass(frozen=True, kw_only=True)
class Heat:
    """`cells` are by line and column; some may be missing."""

    title: str
    corner: str
    lines: Sequence[str]
    columns: Sequence[str]
    cells: Mapping[tuple[str, str], Row]


def heatmap(part: Part) -> Heat | None:
    """Defenses by attacks, knowing ones in columns of their own; of what was crafted on the network itself.

    Every attack knows the bare network: its rate stands in both columns of an attack.
    """
    rows = [row for row in part.rows if not row.transfers and not row.of_one_seed]
    tried = grouped([row for row in rows if row["defense"] != NOTHING], lambda row: row.attack)
    several = len({row["knowledge"] for row in rows}) > 1

    def columns(row: Row) -> list[str]:
        if not several:
            return [row.attack]
        known = [row["knowledge"]]
        if row["defense"] == NOTHING:
            known = list(dict.fromkeys(other["knowledge"] for other in tried.get(row.attack, ()))) or known
        return [f"{row.attack}, {knowledge}" for knowledge in known]

    return _heat(part.title, "defense", rows, lambda row: row.defense, columns) if rows else None


def transfers(parts: Sequence[Part]) -> list[Heat]:
    """One a setting: an attack, what it knew, the defense that it is scored through. None where nothing transfers."""
    rows = [(part.setting, row) for part in parts for row in part.rows if not row.of_one_seed]
    sourced = [(setting, row) for setting, row in rows if row["access"] != "none" and row["knowledge"] != "crossed"]
    settings = grouped(sourced, lambda known: (_setting(known[1]), known[0], known[1]["metric"]))
    return [
        _heat(
            ", ".join(filter(None, [what, setting])),
            "crafted on",
            [row for _, row in same],
            lambda row: row["source_model"],
            lambda row: [row["model"]],
        )
        for (what, setting, _), same in settings.items()
        if any(row.transfers for _, row in same)
    ]


def crossings(part: Part) -> list[Heat]:
    """One a source and attack that was crafted through defenses and scored through others; or none."""
    rows = [row for row in part.rows if not row.of_one_seed]
    return [
        _heat(
            f"{part.title}: {attack}{'' if source == part.model else f' from {source}'}",
            "crafted through",
            same,
            lambda row: row.through,
            lambda row: [row.defense],
        )
        for (source, attack), same in grouped(rows, lambda row: (row["source_model"], row.attack)).items()
        if any(row["knowledge"] == "crossed" for row in same)
    ]


def _setting(row: Row) -> str:
    through = f" through {row.defense}" if row["defense"] != NOTHING else ""
    return f"{row.attack}{through}{', knowing it' if row['knowledge'] == 'adaptive' else ''}"


def _heat(
    title: str, corner: str, rows: Sequence[Row], line: Callable[[Row], str], columns: Callable[[Row], list[str]]
) -> Heat:
    cells: dict[tuple[str, str], Row] = {}
    for row in rows:
        for column in columns(row):
            cells.setdefault((line(row), column), row)
    return Heat(
        title=title,
        corner=corner,
        lines=list(dict.fromkeys(line for line, _ in cells)),
        columns=list(dict.fromkeys(column for _, column in cells)),
        cells=cells,
    )
