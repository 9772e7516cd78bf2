"""From the ledger to the leaderboard: one row per cell and metric."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from ..core.task import Metric, Task
from .grid import Cell, Identity, cells, digest
from .ledger import Costs, Ledger
from .recipe import Recipe
from .stats import estimate

COLUMNS = [
    "recipe",
    "run",
    "task",
    "dataset",
    "n",
    "model",
    "model_sha",
    "attack",
    "attack_params",
    "access",
    "source_model",
    "knowledge",
    "norm",
    "eps",
    "defense",
    "defense_params",
    "metric",
    "clean",
    "clean_drop",
    "clean_drop_rel",
    "gfr",
    "gfr_low",
    "gfr_high",
    "floor",
    "robust",
    "robust_low",
    "robust_high",
    "linf_max",
    "l2_mean",
    "forwards_mean",
    "backwards_mean",
    "seconds",
    "flags",
    "status",
    "error",
]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run learned by loading things: enough to find its cells in the ledger again. Models by name."""

    task: Task
    identities: Mapping[str, Identity]


def run_name(recipe: Recipe, facts: Facts) -> str:
    """The same for the same recipe on the same data and models."""
    return digest(recipe.model_dump(mode="json"), dict(facts.identities))[:12]


def leaderboard(recipe: Recipe, facts: Facts, ledger: Ledger) -> pd.DataFrame:
    """Rates in percent. A cell that failed, or was not reached, has an error and no numbers."""
    rows = []
    for model in recipe.models:
        identity = facts.identities[model]
        grid = [cell for _, row in cells(recipe, model) for cell in row]
        for name, metric in facts.task.metrics.items():
            undefended = _undefended_clean(grid, identity, name, recipe, ledger)
            rows += [_row(cell, identity, name, metric, undefended, recipe, facts, ledger) for cell in grid]
    return pd.DataFrame(rows, columns=COLUMNS)


def _undefended_clean(
    grid: list[Cell], identity: Identity, metric: str, recipe: Recipe, ledger: Ledger
) -> float | None:
    for cell in grid:
        if cell.defense is None:
            scores = _scores(cell, identity, metric, recipe, ledger)
            if scores is not None:
                return float(scores.clean.mean())
    return None


def _scores(cell: Cell, identity: Identity, metric: str, recipe: Recipe, ledger: Ledger) -> pd.DataFrame | None:
    """The scores of a finished cell."""
    scores = ledger.scores(cell.key(identity), metric, recipe.samples)
    return scores if len(scores) == recipe.samples else None


def _row(
    cell: Cell,
    identity: Identity,
    name: str,
    metric: Metric,
    undefended: float | None,
    recipe: Recipe,
    facts: Facts,
    ledger: Ledger,
) -> dict[str, Any]:
    attack = cell.job.attack
    row = {
        "recipe": f"{recipe.name}-v{recipe.version}",
        "run": run_name(recipe, facts),
        "task": type(facts.task).__name__.lower(),
        "dataset": recipe.dataset,
        "n": recipe.samples,
        "model": cell.job.model,
        "model_sha": identity["model_sha"],
        "attack": cell.job.attack_name,
        "attack_params": _compact(asdict(attack), leave_out=("norm", "eps")),
        "access": attack.access,
        "source_model": cell.job.model,
        "knowledge": cell.knowledge,
        "norm": attack.norm,
        "eps": round(attack.eps, 6),
        "defense": cell.defense_name,
        "defense_params": _compact(cell.defense_parameters),
        "metric": name,
    }
    scores = _scores(cell, identity, name, recipe, ledger)
    if scores is None:
        return row | {"status": "error", "error": ledger.error(cell.key(identity)) or "not run yet"}
    costs = ledger.costs(cell.job.key(identity)) or Costs()
    return row | _numbers(scores, metric, undefended, costs) | {"flags": _flags(cell, recipe), "status": "ok"}


def _numbers(scores: pd.DataFrame, metric: Metric, undefended: float | None, costs: Costs) -> dict[str, Any]:
    percent = 100 / metric.range
    fooled = estimate(scores.gfr, proportion=metric.proportion)
    robust = estimate(scores.robust / metric.range, proportion=metric.proportion)
    clean = float(scores.clean.mean())
    numbers = {
        "clean": percent * clean,
        "gfr": 100 * fooled.mean,
        "gfr_low": 100 * fooled.low,
        "gfr_high": 100 * fooled.high,
        "floor": 100 * scores.floor.mean(),
        "robust": 100 * robust.mean,
        "robust_low": 100 * robust.low,
        "robust_high": 100 * robust.high,
    }
    if undefended is not None:
        numbers["clean_drop"] = percent * (undefended - clean)
        if undefended > 0:
            numbers["clean_drop_rel"] = 100 * (undefended - clean) / undefended
    rounded = {key: round(value, 2) + 0.0 for key, value in numbers.items()}  # + 0.0: no minus zero
    return rounded | {
        "linf_max": round(float(scores.linf.max()), 6),
        "l2_mean": round(float(scores.l2.mean()), 6),
        "forwards_mean": round(float(scores.forwards.mean() + costs.forwards / len(scores)), 2),
        "backwards_mean": round(float(scores.backwards.mean() + costs.backwards / len(scores)), 2),
        "seconds": round(float(scores.seconds.sum() + costs.seconds), 2),
    }


def _flags(cell: Cell, recipe: Recipe) -> str:
    return "single-draw" if cell.defense is not None and cell.defense.randomized and recipe.draws == 1 else ""


def _compact(parameters: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    kept = {key: value for key, value in parameters.items() if key not in leave_out}
    return json.dumps(kept, separators=(",", ":"), sort_keys=True)
