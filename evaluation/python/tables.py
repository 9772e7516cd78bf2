"""Attacks and defenses, however they are given, as the tables of a recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ...core.defense import Defense
from ...core.errors import ConfigError
from ...core.learned_defense import FittedDefense
from ...core.registry import Registry
from ..recipe.plugins import REGISTRIES

Given = str | Mapping[str, Any] | object
"""A name, a table (a name and parameters), or an instance."""


def tables(kind: str, given: Given | Sequence[Given]) -> list[dict[str, Any]]:
    """Of "attacks" or "defenses"; one may stand alone. Raises ConfigError for what no recipe can name."""
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return [_table(REGISTRIES[kind], one) for one in several]


def _table(registry: Registry[Any], given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, type) or not is_dataclass(given):
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise ConfigError(f"Expected {registry.kind}s as names, tables or instances, got {what}.")
    if isinstance(given, FittedDefense):
        raise ConfigError(
            f"{given.configuration!r} was fitted by hand; give it as it was before: a run fits it to training images "
            "of its own data."
        )
    name = registry.name_of(given)
    if name is None:
        raise ConfigError(
            f'{type(given).__name__} has no name in tables; put @register_{registry.kind}("my-name") above the class, '
            "from foolbench.core."
        )
    return {"name": name} | {field.name: _plain(getattr(given, field.name)) for field in fields(given)}


def _plain(value: Any) -> Any:
    """As a recipe writes it: the steps of a chain are tables, too."""
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return _table(REGISTRIES["defenses"], value) if isinstance(value, Defense) else value
