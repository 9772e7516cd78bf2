"""Describe the rows of a leaderboard as far as the recipe alone determines them, before anything is loaded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from ...core.attack import Access
from .bundles import MEAN, Bundle
from .cells import Cell, Job
from .parameters import parameters

Row = dict[str, Any]


def described(cell: Cell) -> Row:
    """Return what is known of a cell's row, by column of the leaderboard."""
    attack, through = cell.job.attack, cell.job.through
    crossed = cell.knowledge == "crossed"
    return {
        "model": cell.model,
        "attack": cell.job.attack_name,
        "attack_params": compact(beside_threat(cell.job.parameters)),
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
    """Return what is known of a bundle's row, whose `members` are its cells on one system, by column."""
    if bundle.kind == "mean":
        return described(members[0]) | {"seed": MEAN}
    accesses = [cell.job.attack.access for cell in members]
    return described(members[0]) | {
        "attack": bundle.name,
        "attack_params": compact(_worst_of(members)),
        "access": max(accesses, key=get_args(Access).index),
        "seed": None,
    }


def _worst_of(members: Sequence[Cell]) -> Mapping[str, Any]:
    """Return the members' names and the parameters of their ensemble; without one, each member's own parameters."""
    jobs = [cell.job for cell in members]
    if (ensemble := jobs[0].ensemble) is not None:
        return {"worst_of": [job.attack_name for job in jobs], **beside_threat(parameters(ensemble))}
    return {"worst_of": [{job.attack_name: beside_threat(job.parameters | _seed(job))} for job in jobs]}


def _seed(job: Job) -> dict[str, Any]:
    """Return the seed as a parameter, if there are several."""
    return {"seed": job.seed} if job.seeds > 1 else {}


def beside_threat(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters without `norm` and `eps`, which have columns of their own."""
    return {key: value for key, value in parameters.items() if key not in ("norm", "eps")}


def compact(parameters: Mapping[str, Any]) -> str:
    """Return parameters as compact JSON, the way tables show them."""
    return json.dumps(parameters, separators=(",", ":"), sort_keys=True, default=str)
