"""From rows of a leaderboard to small tables: a line a defense and a column an attack, or one network by another."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pandas as pd

from ...core.registry import NOTHING
from ..grid.bundles import is_of_one_seed
from ..grid.labels import labels, throughs
from ..leaderboard.grouping import grouped
from ..leaderboard.units import shown_decimals

SETTING = "setting"
"""A column that merged tables have beside a leaderboard's: what tells rows apart that cannot stand in one table."""

THROUGH = "crafted through"
NAMES = ("defense", "knowledge", "source", THROUGH)
"""The columns that say what a line is."""
Row = dict[str, Any]
Part = tuple[str, list[dict[str, str]]]
"""A title, and lines."""


def pivot(table: pd.DataFrame) -> list[Part]:
    """For each model and metric defense, clean, drop, floor, then GFR and interval per attack.

    Where attacks were crafted on other networks than those scored, a matrix for each attack and defense instead. What
    was crafted through other defenses has matrices of its own.
    """
    rows = [row for row in records(table) if not is_of_one_seed(row.get("seed"))]
    told = [name for name in (SETTING,) if name in table]
    crossed = [part for _, same in _by(rows, "model", "metric", *told) for part in _crossings(same)]
    rows = [row for row in rows if row["knowledge"] != "crossed"]
    if transfers(table):
        return [part for _, same in _by(rows, "metric", *told) for part in _matrices(same)] + crossed
    parts = [part for _, part in _by(rows, "model", "metric", *told)]
    made = [made for part in parts for made in ((_title(part[0]["model"], part), _lines(part)), *_rejections(part))]
    return made + crossed


def transfers(table: pd.DataFrame) -> bool:
    """Whether some attack was crafted on another network than the one it is scored on."""
    return bool((table.source_model != table.model).any())


def _by(rows: list[Row], *keys: str) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Rows together that agree in these columns."""
    return list(grouped(rows, lambda row: tuple(row[key] for key in keys)).items())


def _matrices(rows: list[Row]) -> list[Part]:
    """Like Table 1 of GD-UAP: a line a network that the attack was crafted on, a column one that it is scored on."""
    labelled = zip(rows, labels(rows, "attack"), labels(rows, "defense"), strict=True)
    whole = [row | {"attack": attack, "defense": defense} for row, attack, defense in labelled]
    models = dict.fromkeys(row["model"] for row in rows)
    parts = []
    for (attack, defense, knowledge), same in _by(whole, "attack", "defense", "knowledge"):
        told = [attack, *([f"through {defense}"] if defense != NOTHING else [])]
        told += ["knowing it"] if knowledge == "adaptive" else []
        sourced = _by([_sourced(row) for row in same], "source_model")
        lines = [_line("source", source, "model", models, own) for (source,), own in sourced]
        clean = {row["model"]: _number(row, "clean") for row in same if pd.notna(row["clean"])}
        lines.append({"source": "(clean)"} | {model: clean.get(model, "-") for model in models})
        parts.append((_title(" ".join(told), same), lines))
    return parts


def _crossings(part: list[Row]) -> list[Part]:
    """Of each attack that was crafted through other defenses: a line one of these, a column what it is scored on."""
    labelled = zip(part, labels(part, "attack"), labels(part, "defense"), throughs(part), strict=True)
    whole = [
        row | {"attack": attack, "defense": defense, THROUGH: through} for row, attack, defense, through in labelled
    ]
    return [
        (_title(f"{_path(source, same[0]['model'])}, {attack}", same), _matrix(same, THROUGH, "defense"))
        for (source, attack), same in _by(whole, "source_model", "attack")
        if any(row["knowledge"] == "crossed" for row in same)
    ]


def _path(source: str, model: str) -> str:
    """From the network that an attack was crafted on to the one that it is scored on."""
    return model if source == model else f"{source} > {model}"


def _sourced(row: Row) -> Row:
    """An attack that asks no network anything has no source."""
    return row | ({"source_model": "(any)"} if row["access"] == "none" else {})


def _matrix(rows: list[Row], line: str, column: str) -> list[dict[str, str]]:
    """A line for each value that the rows have there, a column for each of the other."""
    names = dict.fromkeys(row[column] for row in rows)
    return [_line(line, name, column, names, own) for (name,), own in _by(rows, line)]


def _line(of: str, name: str, column: str, names: Iterable[str], rows: list[Row]) -> dict[str, str]:
    rates = {row[column]: _rate(row) if row["status"] == "ok" else row["status"] for row in rows}
    return {of: name} | {name: rates.get(name, "-") for name in names}


def _title(what: str, part: list[Row]) -> str:
    setting = f", {part[0][SETTING]}" if part[0].get(SETTING) else ""
    unit = ", an error in its own unit" if part[0]["unit"] == "error" else " in percent"
    return f"{what}: {part[0]['metric']}{unit}, n = {_count(part[0])}, {_setting(part)}{setting}"


def _count(row: Row) -> str:
    clusters = row.get("clusters")  # tables of before there were any have no such column
    alone = clusters is None or pd.isna(clusters)
    return f"{row['n']}" if alone else f"{row['n']} in {clusters:.0f} clusters, which intervals are over"


def _setting(part: list[Row]) -> str:
    """The data, and the threat where there is one for all."""
    threats = {f"{row['norm']}, eps = {row['eps']:.4g}" for row in part}
    return ", ".join([part[0]["dataset"], *(threats if len(threats) == 1 else [])])


def records(table: pd.DataFrame) -> list[Row]:
    known = table.astype({"flagged": object}).fillna({"flagged": ""})  # empty in a row that failed, or came from a file
    return [{str(key): value for key, value in row.items()} for row in known.to_dict("records")]


def _lines(part: list[Row]) -> list[dict[str, str]]:
    attacks, defenses = labels(part, "attack"), labels(part, "defense")
    adaptive = any(row["knowledge"] == "adaptive" for row in part)
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for defense, knowledge in product(dict.fromkeys(defenses), ("oblivious", "adaptive")):
        named = {"defense": defense} | ({"knowledge": knowledge} if adaptive else {})
        lines[defense, knowledge] = named | dict.fromkeys(("clean", "drop", "floor", *dict.fromkeys(attacks)), "-")
    for row, attack, defense in zip(part, attacks, defenses, strict=True):
        line = lines[defense, row["knowledge"]]
        line[attack] = _rate(row) if row["status"] == "ok" else row["status"]
        shown = {"clean": "clean", "drop": "clean_drop", "floor": "floor"}
        line |= {key: _number(row, column) for key, column in shown.items() if pd.notna(row[column])}
    reached = {(defense, row["knowledge"]) for row, defense in zip(part, defenses, strict=True)}
    return [line for key, line in lines.items() if key in reached]


def _rejections(part: list[Row]) -> list[Part]:
    """Of the systems that may reject an image, how often they do, if there are any."""
    labelled = zip(part, labels(part, "attack"), labels(part, "defense"), strict=True)
    abstaining = [found for found in labelled if bool(pd.notna(found[0].get("rejected_clean")))]
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row, attack, defense in abstaining:
        named = {"defense": f"{defense}, {row['knowledge']}", "rejected clean": f"{row['rejected_clean']:.1f}"}
        right = f" + {row['corrected']:.1f}" if pd.notna(row["corrected"]) else ""
        lines.setdefault((defense, row["knowledge"]), named)[attack] = f"{row['detected']:.1f}{right}"
    attacks = dict.fromkeys(attack for _, attack, _ in abstaining)
    whole = [dict.fromkeys(("defense", "rejected clean", *attacks), "-") | line for line in lines.values()]
    title = f"{part[0]['model']}: percent of clean images rejected, and of attacked ones detected + corrected"
    return [(title, whole)] if whole else []


def _number(row: Row, column: str) -> str:
    return f"{row[column]:.{shown_decimals(row['unit'], column)[0]}f}"


def _rate(row: Row) -> str:
    gap = "" if pd.isna(row["gfr_gap"]) else f" ({row['gfr_gap']:+.1f})"
    flagged = "*" if row["flagged"] else ""
    return f"{row['gfr']:.1f}{flagged} [{row['gfr_low']:.0f}-{row['gfr_high']:.0f}]{gap}"
