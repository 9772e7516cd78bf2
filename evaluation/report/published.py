"""The numbers of the papers' tables, leaderboards/published/RECIPE.csv, beside those of a run of that recipe.

A file begins with what the paper measured on and with: lines `# what: text`. Then comes a line a number: where it
stands in the paper's table, the `rate` that it is, and the row of a leaderboard that is the same here. Networks are
meant whose name is one of those with spaces between, whatever their address; parameters are those that must be among
the row's; the empty text stands for anything or, as `source_model`, for the network itself. Where a task has several
metrics, a column `metric` says which one a number is of; where images were made against a defense and shown to another,
`source_defense` says against which.

The budgets are those of the recipe that ships under that name; rows of other budgets, of another version or of a recipe
that was changed stand beside the paper, too, and a remark says so.
"""

import csv
import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from ..grid.bundles import is_of_one_seed
from ..leaderboard.grouping import grouped
from ..leaderboard.units import is_error
from ..opening.consistency import check_methods
from ..opening.recipes import RECIPES, read_document
from ..recipe.recipe import Recipe
from .rows import Record, records

_Budget = tuple[str, float]
"""Norm and eps, as a row has them."""
_NARROW = 2.0
"""Points: of an interval that is narrower, whole percents say nothing."""
PUBLISHED = RECIPES.parent / "published"
HEADING = "Behind each number of ours, with its 95% interval, stands the paper's in brackets."


@dataclass(frozen=True, kw_only=True)
class Number:
    """Of a paper: `published` as it is printed, at `line` and `column` of its table; the rest chooses rows of ours."""

    line: str
    column: str
    published: str
    rate: str
    model: str
    source_model: str
    attack: str
    attack_params: str
    defense: str
    defense_params: str
    note: str
    metric: str = ""
    source_defense: str = ""

    @property
    def printed(self) -> int:
        """Digits after the point."""
        return len(self.published.partition(".")[2])


class Table(NamedTuple):
    """`about` are pairs of what and text: source, data, networks, iterations, notes."""

    about: Sequence[tuple[str, str]]
    numbers: Sequence[Number]


class Beside(NamedTuple):
    """A paper's table with our numbers, and what differs."""

    title: str
    remarks: Sequence[str]
    lines: Sequence[Mapping[str, str]]


def published(recipe: str) -> Table | None:
    """The paper's table that a shipped recipe is of; None of any other."""
    path = PUBLISHED / f"{recipe}.csv"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    about = [line.removeprefix("# ").partition(": ") for line in lines if line.startswith("# ")]
    rows = csv.DictReader(line for line in lines if not line.startswith("# "))
    return Table([(what, text) for what, _, text in about], [Number(**row) for row in rows])


def beside(table: pd.DataFrame) -> list[Beside]:
    """Of all rows together that are of one recipe; nothing where no row has a number of the paper."""
    by_recipe = grouped(records(table), lambda row: str(row["recipe"]).partition(" (")[0].rpartition("-v")[0])
    known = [(name, found, rows) for name, rows in by_recipe.items() if (found := published(name)) is not None]
    return [made for name, found, rows in known if (made := _beside(_shipped(name), found, rows)) is not None]


def _shipped(name: str) -> Recipe:
    """As it ships; its networks and data are not looked at."""
    return read_document(tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8")), name, check_methods)


def _beside(shipped: Recipe, found: Table, rows: Sequence[Record]) -> Beside | None:
    usual = {(attack.norm, round(attack.eps, 6)) for attack in shipped.build_attacks()}
    fitting = {
        number: sorted((row for row in rows if _is_of(number, row)), key=lambda row: _budget(row) not in usual)
        for number in found.numbers
    }
    ours = {number: fits[0] if fits else None for number, fits in fitting.items()}
    used = [row for row in ours.values() if row is not None]
    if not used:
        return None
    columns = dict.fromkeys(number.column for number in found.numbers)
    lines: dict[str, dict[str, str]] = {}
    for number, row in ours.items():
        line = lines.setdefault(number.line, {"": number.line} | dict.fromkeys(columns, ""))
        line[number.column] = f"{_shown(number, row)} ({number.published})"
    about = dict(found.about)
    remarks = [*_remarks(found, used), *_otherwise(shipped, ours, usual), *_choices(fitting)]
    return Beside(f"Beside {about['source']}", remarks, list(lines.values()))


def _is_of(number: Number, row: Record) -> bool:
    """Whether the row is finished and the paper's, crafted on the bare network where nothing else is said; of several
    seeds it is their mean.
    """
    crossed = (row["knowledge"], row.get("source_defense")) == ("crossed", number.source_defense)
    known = crossed if number.source_defense else row["knowledge"] == "oblivious"
    if row["status"] != "ok" or not known or is_of_one_seed(row.get("seed")):
        return False
    source = number.source_model or _short(row["model"])
    return (
        bool(pd.notna(row[number.rate]))
        and _short(row["model"]) in number.model.split()
        and (row["access"] == "none" or _short(row["source_model"]) in source.split())
        and number.attack in ("", row["attack"])
        and number.defense == row["defense"]
        and number.metric in ("", row["metric"])
        and _among(number.attack_params, row["attack_params"])
        and _among(number.defense_params, row["defense_params"])
    )


def _short(network: str) -> str:
    """The name without its address and its parameters."""
    return network.partition(" (")[0].rpartition(":")[2]


def _among(some: str, given: str) -> bool:
    """Both as JSON; nothing is among all."""
    known = json.loads(given)
    return all(known.get(name) == value for name, value in json.loads(some or "{}").items())


def _shown(number: Number, row: Record | None) -> str:
    if row is None:
        return "-"
    low, high = (row.get(f"{number.rate}_{end}") for end in ("low", "high"))
    percent = number.rate != "layer_shift" and not is_error(row["unit"], number.rate)
    digits, of_ends = (1, 0) if percent else (number.printed, number.printed)
    if percent and low is not None and high is not None and high - low < _NARROW:
        digits, of_ends = digits + 1, of_ends + 2
    interval = "" if low is None or high is None else f" [{low:.{of_ends}f}-{high:.{of_ends}f}]"
    return f"{row[number.rate]:.{digits}f}{'*' if row['flagged'] else ''}{interval}"


def _remarks(found: Table, used: Sequence[Record]) -> list[str]:
    """What the paper had and what is had here; then what is to be said of single numbers."""
    here = {
        "data": _listed(f"{row['n']} images of {row['dataset']}" for row in used),
        "networks": _listed(row["model"] for row in used),
        "iterations": _listed(f"{row['attack']} up to {steps:,}" for row in used if (steps := _iterations(row))),
    }
    remarks = [
        f"{what}: {text}; here {here[what]}" if here.get(what) else text
        for what, text in found.about
        if what != "source"
    ]
    notes = grouped([number for number in found.numbers if number.note], lambda number: number.note)
    return remarks + [
        f"{', '.join(f'{number.line} / {number.column}' for number in same)}: {note}" for note, same in notes.items()
    ]


def _otherwise(shipped: Recipe, ours: Mapping[Number, Record | None], usual: Collection[_Budget]) -> Iterator[str]:
    """What was run that is not the recipe as it ships."""
    labels = dict.fromkeys(str(row["recipe"]) for row in ours.values() if row is not None)
    others = [label for label in labels if label != shipped.label]
    if others:
        yield f"recipe: {shipped.label} ships; here {', '.join(others)}"
    attacked = [row for number, row in ours.items() if row is not None and not number.rate.startswith("clean")]
    budgets = dict.fromkeys(budget for row in attacked if (budget := _budget(row)) not in usual)
    if budgets:
        yield f"budget: {_told(usual)} in the recipe; here {_told(budgets)}"


def _choices(fitting: Mapping[Number, Sequence[Record]]) -> Iterator[str]:
    """Where rows with other numbers might stand there as well."""
    for number, rows in fitting.items():
        others = [row for row in rows if _shown(number, row) != _shown(number, rows[0])]
        if others:
            of = f"{rows[0]['recipe']}, {rows[0]['attack']} {rows[0]['attack_params']}, {_told([_budget(rows[0])])}"
            yield f"{number.line} / {number.column}: the first of {1 + len(others)} rows that fit, of {of}"


def _budget(row: Record) -> _Budget:
    return str(row["norm"]), round(float(row["eps"]), 6)


def _told(budgets: Iterable[_Budget]) -> str:
    return ", ".join(f"{norm}, eps = {eps:.4g}" for norm, eps in budgets)


def _iterations(row: Record) -> int | None:
    return json.loads(row["attack_params"]).get("max_iterations")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
