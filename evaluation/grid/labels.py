"""What rows call their attacks and defenses, where several share a name."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal


def labels(part: Sequence[Mapping[str, Any]], kind: Literal["attack", "defense"]) -> list[str]:
    """The name of each row's attack or defense, with those parameters that tell it from its namesakes."""
    told = ("norm", "eps", "seed") if kind == "attack" else ()
    chosen = [
        (row[kind], json.loads(row[f"{kind}_params"]) | {key: row[key] for key in told if not _empty(row.get(key))})
        for row in part
    ]
    found = []
    for name, parameters in chosen:
        namesakes = [other for same, other in chosen if same == name]
        telling = [key for key in parameters if any(other.get(key) != parameters[key] for other in namesakes)]
        shown = ", ".join(f"{key} {parameters[key]}" for key in telling)
        found.append(f"{name} {shown}".strip())
    return found


def _empty(value: Any) -> bool:
    """As in a row, or in a table that came from a file."""
    return value is None or value == "" or value != value  # NaN alone is unlike itself
