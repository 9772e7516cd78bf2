"""Plan the rows of a recipe before it runs: each with the cells that it is computed from, and a name for people."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from ..recipe.recipe import Recipe
from .bundles import Bundle, bundles
from .cells import Cell
from .described import Row, described, described_bundle
from .grid import spanned
from .labels import labels


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A planned result, one row per metric: of one cell, or of the `cells` of a `bundle` on one system.

    `name` is short and unique, such as `resnet50-jpeg-pgd`. `facts` are the columns of the leaderboard that are known
    already; `labels` has what tables call the `attack` and the `defense`.
    """

    name: str
    cells: Sequence[Cell]
    bundle: Bundle | None
    facts: Row
    labels: Mapping[str, str]


def planned(recipe: Recipe) -> list[Planned]:
    """Return the planned rows in the best order to compute them: by job, and a bundle's row after its last cell."""
    whole = [cell for _, row in spanned(recipe) for cell in row]
    members: dict[Hashable, list[Cell]] = {}
    for cell in whole:
        for bundle in bundles(cell):
            members.setdefault(_on_a_system(bundle, cell), []).append(cell)
    made: list[tuple[Sequence[Cell], Bundle | None, Row]] = []
    for cell in whole:
        made.append(([cell], None, described(cell)))
        for bundle in bundles(cell):
            same = members[_on_a_system(bundle, cell)]
            if same[-1] is cell:
                made.append((same, bundle, described_bundle(bundle, same)))
    rows = [facts for *_, facts in made]
    attacks, defenses = labels(rows, "attack"), labels(rows, "defense")
    names = _names(recipe, rows, attacks, defenses)
    return [
        Planned(name=name, cells=cells, bundle=bundle, facts=facts, labels={"attack": attack, "defense": defense})
        for name, (cells, bundle, facts), attack, defense in zip(names, made, attacks, defenses, strict=True)
    ]


def _on_a_system(bundle: Bundle, cell: Cell) -> Hashable:
    return bundle, cell.model, cell.job.through.digest, cell.defense.digest


def short_names(recipe: Recipe) -> dict[str, str]:
    """Return a short name for each network's label: the part after the colon, if it is unique, else the label."""
    short = {label: entry.name.rpartition(":")[2] for label, entry in recipe.networks.items()}
    often = Counter(short.values())
    return {label: name if often[name] == 1 else label for label, name in short.items()}


def name_of(*words: str) -> str:
    """Join words to the name of a test, without characters that a shell would need quotes for."""
    return "-".join(re.sub(r"[^\w.]+", "-", word).strip("-") for word in words)


def _names(recipe: Recipe, rows: Sequence[Row], attacks: Sequence[str], defenses: Sequence[str]) -> list[str]:
    models = short_names(recipe)
    found = []
    for row, attack, defense in zip(rows, attacks, defenses, strict=True):
        source = [models[row["source_model"]], "to"] if row["source_model"] != row["model"] else []
        knowing = {"adaptive": ["adaptive"], "crossed": ["from", str(row["source_defense"])]}.get(row["knowledge"], [])
        words = [*source, models[row["model"]], defense, attack, *knowing]
        found.append(name_of(*words))
    return _told_apart(found)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return the names, with a number added to those that occurred before."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found
