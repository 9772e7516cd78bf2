"""What a row is about, as far as its recipe says: known before anything is loaded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from ...core.attack import Access
from ..engine.grid import Cell, parameters

Row = dict[str, Any]


def described(cell: Cell) -> Row:
    """By the columns of the leaderboard."""
    attack = cell.job.attack
    return {
        "model": cell.model,
        "attack": cell.job.attack_name,
        "attack_params": compact(parameters(attack), leave_out=("norm", "eps")),
        "access": attack.access,
        "source_model": cell.job.source,
        "knowledge": cell.knowledge,
        "norm": attack.norm,
        "eps": round(attack.eps, 6),
        "defense": cell.defense.name,
        "defense_params": compact(cell.defense.parameters),
    }


def described_group(members: Sequence[Cell]) -> Row:
    """The same of the worst case over a group's attacks on one system."""
    accesses = [cell.job.attack.access for cell in members]
    return described(members[0]) | {
        "attack": members[0].job.group,
        "attack_params": compact({"worst_of": [cell.job.attack_name for cell in members]}),
        "access": max(accesses, key=get_args(Access).index),
    }


def compact(parameters: Mapping[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    """What a table says of parameters, as JSON."""
    kept = {key: value for key, value in parameters.items() if key not in leave_out}
    return json.dumps(kept, separators=(",", ":"), sort_keys=True, default=str)
