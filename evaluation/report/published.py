"""Compare a run with the numbers of a paper's table, from leaderboards/published/RECIPE.csv.

Such a file begins with lines `# what: text` on the paper's data, networks and settings. Then comes a line per number:
its line and column in the paper's table, its `rate`, and the leaderboard row that corresponds to it. `model` and
`source_model` list network names, without their addresses, separated by spaces; `attack_params` and `defense_params`
must be among those of the row. An empty `attack`, `metric` or field of parameters matches any, an empty `source_model`
the network itself. The column `metric` selects one of several metrics, and `source_defense` the defense against which
images were crafted that are scored through another.

The budgets are those of the shipped recipe of that name. Rows of other budgets, of another version or of a changed
recipe are compared as well, with a remark.
"""

import csv
import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from ...core.words import budget
from ..grid.bundles import is_of_one_seed
from ..leaderboard.grouping import grouped
from ..leaderboard.units import is_error
from ..opening.consistency import check_methods
from ..opening.recipes import RECIPES, read_document
from ..recipe.recipe import Recipe
from .rows import Record, records

_Budget = tuple[str, float]
"""The norm and eps of a row, eps rounded to six decimals."""
_NARROW = 2.0
"""The width in points below which an interval is shown with decimals, since whole percents would hide it."""
PUBLISHED = RECIPES.parent / "published"
HEADING = "Behind each number of ours, with its 95% interval, stands the paper's in brackets."


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number of a paper, `published` as printed at `line` and `column` of its table.

    The other fields select the rows of a leaderboard that it is compared with.
    """

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
        """The number of digits after the point as printed."""
        return len(self.published.partition(".")[2])


class Table(NamedTuple):
    """A paper's table; `about` holds (what, text) pairs: source, data, networks, iterations, notes."""

    about: Sequence[tuple[str, str]]
    numbers: Sequence[Number]


class Beside(NamedTuple):
    """A paper's table with our numbers beside its own, and remarks on what differs."""

    title: str
    remarks: Sequence[str]
    lines: Sequence[Mapping[str, str]]


def published(recipe: str) -> Table | None:
    """Return the paper's table that a shipped recipe reproduces, or None."""
    path = PUBLISHED / f"{recipe}.csv"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    about = [line.removeprefix("# ").partition(": ") for line in lines if line.startswith("# ")]
    rows = csv.DictReader(line for line in lines if not line.startswith("# "))
    return Table([(what, text) for what, _, text in about], [Number(**row) for row in rows])


def beside(table: pd.DataFrame) -> list[Beside]:
    """Return a comparison with the paper for each recipe in a table, if some row corresponds to a published number."""
    by_recipe = grouped(records(table), lambda row: str(row["recipe"]).partition(" (")[0].rpartition("-v")[0])
    known = [(name, found, rows) for name, rows in by_recipe.items() if (found := published(name)) is not None]
    return [made for name, found, rows in known if (made := _beside(_shipped(name), found, rows)) is not None]


def _shipped(name: str) -> Recipe:
    """Return a recipe as it ships, without a check of its networks and data."""
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
    """Return whether a row is finished and corresponds to the number; of several seeds, only their mean does.

    Unless the number names a `source_defense`, its images were crafted on the bare network.
    """
    crossed = (row["knowledge"], row.get("source_defense")) == ("crossed", number.source_defense)
    known = crossed if number.source_defense else row["knowledge"] == "oblivious"
    if row["status"] != "ok" or not known or is_of_one_seed(row.get("seed")):
        return False
    source = number.source_model or _short(row["model"])
    return (
        bool(pd.notna(row.get(number.rate)))
        and _short(row["model"]) in number.model.split()
        and (row["access"] == "none" or _short(row["source_model"]) in source.split())
        and number.attack in ("", row["attack"])
        and number.defense == row["defense"]
        and number.metric in ("", row["metric"])
        and _among(number.attack_params, row["attack_params"])
        and _among(number.defense_params, row["defense_params"])
    )


def _short(network: str) -> str:
    """Return a network's name without its address and parameters."""
    return network.partition(" (")[0].rpartition(":")[2]


def _among(some: str, given: str) -> bool:
    """Return whether the JSON object `given` contains the items of `some`; an empty text contains none."""
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
    """Return remarks on the paper's and our data, networks and iterations, then the notes on single numbers."""
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
    """Yield remarks on rows of a changed recipe, another version or other budgets."""
    labels = dict.fromkeys(str(row["recipe"]) for row in ours.values() if row is not None)
    others = [label for label in labels if label != shipped.label]
    if others:
        yield f"recipe: {shipped.label} ships; here {', '.join(others)}"
    attacked = [row for number, row in ours.items() if row is not None and not number.rate.startswith("clean")]
    budgets = dict.fromkeys(budget for row in attacked if (budget := _budget(row)) not in usual)
    if budgets:
        yield f"budget: {_told(usual)} in the recipe; here {_told(budgets)}"


def _choices(fitting: Mapping[Number, Sequence[Record]]) -> Iterator[str]:
    """Yield a remark for each number that several rows with different values correspond to."""
    for number, rows in fitting.items():
        others = [row for row in rows if _shown(number, row) != _shown(number, rows[0])]
        if others:
            of = f"{rows[0]['recipe']}, {rows[0]['attack']} {rows[0]['attack_params']}, {_told([_budget(rows[0])])}"
            yield f"{number.line} / {number.column}: the first of {1 + len(others)} rows that fit, of {of}"


def _budget(row: Record) -> _Budget:
    return str(row["norm"]), round(float(row["eps"]), 6)


def _told(budgets: Iterable[_Budget]) -> str:
    return ", ".join(f"{norm}, eps = {budget(eps)}" for norm, eps in budgets)


def _iterations(row: Record) -> int | None:
    return json.loads(row["attack_params"]).get("max_iterations")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
