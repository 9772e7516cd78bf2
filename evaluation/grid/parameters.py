"""The parameters of an attack or a defense, as recipes, keys and tables have them."""

from dataclasses import fields
from typing import Any

from ...core.attack import LATER


def parameters(configuration: Any) -> dict[str, Any]:
    """Return the fields of an attack or a defense, by name. A nested attack or defense stays an object.

    Fields that were added `LATER` and have their default are left out, so that keys stay as they were before.
    """
    found = {one: getattr(configuration, one.name) for one in fields(configuration)}
    return {one.name: value for one, value in found.items() if LATER not in one.metadata or value != one.default}
