"""`foolbench list`: all registered names of a kind, each with a one-line summary."""

import json

from rich.table import Table
from rich.text import Text

from ..opening.recipes import shipped_recipes, summary
from ..recipe.plugins import REGISTRIES
from .console import console


def summaries(kind: str) -> dict[str, str]:
    """Return the one-line summaries of all attacks, defenses, models, datasets or recipes, by name."""
    if kind == "recipes":
        return {name: summary(name) for name in shipped_recipes()}
    registry = REGISTRIES[kind]
    found = {name: (registry[name].__doc__ or "").strip().partition("\n")[0] for name in registry}
    return found | registry.on_demand


def show(kind: str, *, as_json: bool) -> None:
    entries = summaries(kind)
    if as_json:
        print(json.dumps(entries, indent=2))
        return
    table = Table("name", "what it is")
    for name, text in entries.items():
        table.add_row(Text(name), Text(text))
    console.print(table)
