"""Everything that has a name, each with a line on what it is."""

from ..recipe.plugins import REGISTRIES
from ..recipe.reading import shipped_recipes, summary


def summaries(kind: str) -> dict[str, str]:
    """Of all attacks, defenses, models, datasets or recipes, by name."""
    if kind == "recipes":
        return {name: summary(name) for name in shipped_recipes()}
    registry = REGISTRIES[kind]
    found = {name: (registry[name].__doc__ or "").strip().partition("\n")[0] for name in registry}
    return found | registry.on_demand
