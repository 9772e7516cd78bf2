"""What a row is about, as far as its recipe says: known before anything is loaded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from ...core.attack import Access
from .bundles import MEAN, Bundle
from .cells import Cell

Row = dict[str, Any]


def described(cell: Cell) -> Row:
    """By the columns of the leaderboard."""
    attack, through = cell.job.attack, cell.job.through
    crossed = cell.knowledge == "crossed"
    return {
        "model": cell.model,
        "attack": cell.job.attack_name,
        "attack_params": compact(cell.job.parameters, leave_out=("norm", "eps")),
        "seed": str(cell.job.seed) if cell.job.seeds > 1 else None,
        "access": attack.access,
        "source_model": cell.job.source,
        "knowledge": cell.knowledge,
        "source_defense": through.name if crossed else None,
        "source_defense_params": compact(through.parameters) if crossed else None,
        "norm": attack.norm,
        "eps": round(attack.eps, 6),
        "defense": cell.defense.name,
        "defense_params": compact(cell.defense.parameters),
    }


def described_bundle(bundle: Bundle, members: Sequence[Cell]) -> Row:
    """The same of what has a row together on one system."""
    if bundle.kind == "mean":
        return described(members[0]) | {"seed": MEAN}
    accesses = [cell.job.attack.access for cell in members]
    return described(members[0]) | {
        "attack": bundle.name,
        "attack_params": compact({"worst_of": list(dict.fromkeys(cell.job.attack_name for cell in members))}),
        "access": max(accesses, key=get_args(Access).index),
        "seed": None,
    }


def compact(parameters: Mapping[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    """What a table says of parameters, as JSON."""
    kept = {key: value for key, value in parameters.items() if key not in leave_out}
    return json.dumps(kept, separators=(",", ":"), sort_keys=True, default=str)
