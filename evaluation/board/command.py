"""The command lines that reproduce or verify a row of a board."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import PurePath
from typing import Any

from ...core.errors import ConfigError
from ..leaderboard.part import TextRow, part_of
from ..opening.recipes import shipped_recipes
from ..recipe.recipe import Recipe
from ..recipe.toml import inline
from .board import Row
from .runs import Run

_VALUED = ("--out", "--set", "--device", "--plugin")
"""The options of `foolbench run` that take a value and are read here."""


def commands(row: Row) -> Mapping[str, str]:
    """Return command lines by what they do: run this row alone, and verify that it holds.

    For a table without a manifest there is only the latter, and only if its recipe ships with foolbench.
    """
    run, found = row.run, {}
    words = _run(run.command)
    settings = None if words is None or run.recipe is None else _alone(run.recipe, row)
    if words is not None and settings is not None:
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={inline(value)}")]
        found["This row alone"] = _typed("foolbench", "run", *words, *sets, "--out", f"runs/row-{row.place}")
    verified = _verified(row)
    if verified is not None:
        found["Does it hold?"] = _typed("foolbench", "verify", *verified, "--row", str(row.place))
    return found


def told(run: Run) -> str:
    """Return the command line that ran the whole run."""
    path = PurePath(run.command[0])
    return _typed("foolbench" if path.stem == "__main__" else path.name, *run.command[1:])


def _typed(*words: str) -> str:
    """Return the words as a shell command on one line."""
    return shlex.join(" ".join(word.split("\n")) for word in words)


def _run(command: Sequence[str]) -> list[str] | None:
    """Return the arguments of a `foolbench run` without `--out`, or None for another command."""
    if len(command) < 3 or PurePath(command[0]).stem not in ("foolbench", "__main__") or command[1] != "run":
        return None
    return [word for option in _options(command[2:]) if _name(option) != "--out" for word in option]


def _options(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield each option with its value, and each other word by itself."""
    left = iter(words)
    for word in left:
        yield [word, *islice(left, 1)] if word in _VALUED else [word]


def _name(option: Sequence[str]) -> str:
    return option[0].partition("=")[0]


def _alone(recipe: Recipe, row: Row) -> dict[str, Any] | None:
    """Return the overrides that reduce the recipe to one row, or None if the row is not of the recipe."""
    try:
        part = part_of(recipe, text_row(row))
    except ConfigError:
        return None
    document = part.model_dump(exclude_none=True)
    changed = ("models", "source_models", "attacks", "defenses", "gates")
    settings = {key: document[key] for key in changed if document[key] or getattr(recipe, key)}
    if isinstance(recipe.expect_clean, dict):  # it may name models that the reduced recipe lacks
        settings["expect_clean"] = part.expect_clean or {}
    return settings


def text_row(row: Row) -> TextRow:
    """Return a row as text, as leaderboard.csv has it."""
    return {name: "" if row[name] is None else str(row[name]) for name in row.values}


def _plugins(command: Sequence[str]) -> list[str]:
    """Return the `--plugin` options of a command, with their values."""
    return [word for option in _options(command) if _name(option) == "--plugin" for word in option]


def _verified(row: Row) -> list[str] | None:
    run: Run = row.run
    if run.recipe is not None:
        return [str(run.path), *_plugins(run.command)]
    recipe = str(row["recipe"] or "")
    name = recipe.rpartition("-v")[0] if "(" not in recipe else ""
    return [str(run.path), "--recipe", name] if name in shipped_recipes() else None
