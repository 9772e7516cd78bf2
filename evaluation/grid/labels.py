"""Labels for the attacks and defenses of rows, which tell namesakes apart, and for an attack's knowledge."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from ...core.registry import NOTHING
from ...core.words import budget


def labels(part: Sequence[Mapping[str, Any]], kind: Literal["attack", "defense"]) -> list[str]:
    """Return the name of each row's attack or defense, with the parameters that tell it from its namesakes.

    A targeted attack is called so.
    """
    told = ("norm", "eps", "seed") if kind == "attack" else ()
    keys = [
        (row[kind], row[f"{kind}_params"], *(None if _empty(row.get(key)) else row[key] for key in told))
        for row in part
    ]
    chosen = {key: (key[0], _parameters(key[1], dict(zip(told, key[2:], strict=True)))) for key in dict.fromkeys(keys)}
    called = {key: _called(*own, chosen.values()) for key, own in chosen.items()}
    return [called[key] for key in keys]


def _parameters(listed: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(listed) | {name: value for name, value in more.items() if value is not None}


def _called(name: str, parameters: Mapping[str, Any], every: Collection[tuple[str, Mapping[str, Any]]]) -> str:
    namesakes = [other for same, other in every if same == name]
    telling = [key for key in parameters if any(other.get(key) != parameters[key] for other in namesakes)]
    targeted = ["targeted"] if parameters.get("targeted") is True else []  # that is told in any case
    shown = ", ".join(targeted + [_told(key, parameters[key]) for key in telling if key != "targeted"])
    return f"{name} {shown}".strip()


def _told(key: str, value: Any) -> str:
    return f"{key} {budget(float(value)) if key == 'eps' else value}"


def throughs(part: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the label of the defense, or of the bare model, that each row's attack was crafted through."""
    return labels([*part, *map(_through, part)], "defense")[len(part) :]


def _through(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of the defense that a row's attack was crafted through, as those of a row's own defense."""
    match row["knowledge"]:
        case "adaptive":
            return row
        case "crossed":
            return {"defense": row["source_defense"], "defense_params": row["source_defense_params"]}
        case _:
            return {"defense": NOTHING, "defense_params": "{}"}


def knowledges(part: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the attacker's knowledge in each row: oblivious, adaptive, or crossed from a named defense."""
    return [
        f"crossed from {through}" if row["knowledge"] == "crossed" else row["knowledge"]
        for row, through in zip(part, throughs(part), strict=True)
    ]


def _empty(value: Any) -> bool:
    """Return whether a value is missing: None in a row, "" or NaN in a table that was read from a file."""
    return value is None or value == "" or value != value  # only NaN differs from itself
