"""Convert attacks and defenses in any accepted form to the tables of a recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ...core.defense import Defense
from ...core.errors import ConfigError
from ...core.learned_defense import FittedDefense
from ...core.registry import Registry
from ..recipe.plugins import REGISTRIES

Given = str | Mapping[str, Any] | object
"""An attack or a defense as `foolbench.evaluate` takes it: a name, a table (a name and parameters), or an instance."""


def tables(kind: str, given: Given | Sequence[Given]) -> list[dict[str, Any]]:
    """Return the recipe's tables for one or several attacks or defenses; `kind` is "attacks" or "defenses".

    Raises ConfigError for an object that a recipe cannot name, such as an unregistered class or a fitted defense.
    """
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
    """Return a parameter as a recipe writes it: defenses inside it, such as the steps of a chain, become tables."""
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return _table(REGISTRIES["defenses"], value) if isinstance(value, Defense) else value
