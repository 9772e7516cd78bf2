"""`--set KEY=VALUE`: change single values of a parsed TOML document; every error is one sentence."""

import tomllib
from typing import Any

from ...core.errors import ConfigError

_DEEPEST = 20
"""The most dots in a key: no recipe has tables so deep within each other."""


def parse_overrides(overrides: list[str], document: dict[str, Any] | None = None) -> dict[str, Any]:
    """Set each `KEY=VALUE` in `document`, by default an empty one, and return it.

    A value is TOML, or a string if it is not. A key is dotted; below a list of tables the next part is the name of some
    of them: `attacks.pgd.steps=40` is for each attack that is called pgd. Raises ConfigError for an override of
    another form, a key below a value that is no table, or a name that no table of the list has.
    """
    document = {} if document is None else document
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"Expected --set KEY=VALUE, got {override!r}.")
        _set(document, key.strip(), _value(key, text))
    return document


def _value(key: str, text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
        return parsed["value"] if parsed.keys() == {"value"} else text  # a line break would start another key
    except RecursionError:
        raise ConfigError(f"Expected --set {key} with a value, got too many lists within each other.") from None
    except ValueError:  # no TOML, or a number of thousands of digits
        return text  # a bare word is a string: --set dataset=digits


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    if key.count(".") > _DEEPEST:
        raise ConfigError(f"Expected --set with a key of at most {_DEEPEST} dots, got {key[:40]}...")
    first, dot, rest = key.partition(".")
    if not dot:
        table[first] = value
        return
    below = table.setdefault(first, {})
    if isinstance(below, list):
        table[first] = _set_in_entries(below, first, rest, value)
    elif isinstance(below, dict):
        _set(below, rest, value)
    else:
        raise ConfigError(f"Expected --set with a key of the recipe, got {key!r}: {first!r} is no table.")


def _set_in_entries(entries: list[Any], of: str, key: str, value: Any) -> list[Any]:
    """Return the entries, which are tables or bare names, with the value set in those that the key begins with."""
    tables = [{"name": entry} if isinstance(entry, str) else entry for entry in entries]
    names = [table["name"] for table in tables if isinstance(table, dict) and isinstance(table.get("name"), str)]
    name = max((name for name in names if key.startswith(f"{name}.")), key=len, default=None)  # names may have dots
    if name is None:
        known = ", ".join(dict.fromkeys(names)) or "it has none"
        raise ConfigError(f"Expected --set {of}.NAME.KEY with a name of the recipe's {of} ({known}), got {of}.{key}.")
    for table in tables:
        if isinstance(table, dict) and table.get("name") == name:
            _set(table, key.removeprefix(f"{name}."), value)
    return tables
