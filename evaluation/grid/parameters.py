"""What an attack or a defense is told, as recipes, keys and tables have it."""

from dataclasses import fields
from typing import Any

from ...core.attack import LATER


def parameters(configuration: Any) -> dict[str, Any]:
    """The fields of an attack or a defense, by name; one that lies in a field stays whole, and its repr names it.

    Without those that came `LATER` and are as if they had not.
    """
    found = {one: getattr(configuration, one.name) for one in fields(configuration)}
    return {one.name: value for one, value in found.items() if LATER not in one.metadata or value != one.default}
