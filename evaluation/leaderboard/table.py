"""From the ledger to the leaderboard: one row per cell and metric, and one for the best attack of each group."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pandas as pd

from ...core.attack import Access, Attack
from ...core.task import Metric, Task
from ..engine.grid import Cell, Identity, cells, digest, parameters
from ..ledger.ledger import Costs, Ledger
from ..recipe.recipe import Recipe
from .columns import COLUMNS
from .flags import BOUNDARY, Finding, compare, compare_jobs
from .stats import Estimate, estimate


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run learned by loading things: enough to find its cells in the ledger again. Models by name.

    `samples` are the indices of the evaluation images, in the order in which they are taken; `skipped` the pictures
    that cannot be read, and why.
    """

    task: Task
    samples: tuple[int, ...]
    identities: Mapping[str, Identity]
    skipped: Mapping[str, str] = field(default_factory=dict)


def run_name(recipe: Recipe, facts: Facts) -> str:
    """The same for the same recipe on the same data and models."""
    return digest(recipe.content, dict(facts.identities))[:12]


def leaderboard(recipe: Recipe, facts: Facts, ledger: Ledger) -> pd.DataFrame:
    """Rates in percent. A cell that failed has an error and no numbers, one that was not reached is pending."""
    rows = []
    for model in recipe.model_labels:
        for name, metric in facts.task.metrics.items():
            rows += ModelTable(recipe, facts, ledger, model, name, metric).rows()
    return pd.DataFrame(rows, columns=list(COLUMNS))


class ModelTable:
    """The rows of one model and metric."""

    def __init__(self, recipe: Recipe, facts: Facts, ledger: Ledger, model: str, name: str, metric: Metric) -> None:
        self._recipe, self._facts, self._ledger = recipe, facts, ledger
        self._identity = facts.identities[model]
        self._name, self._metric = name, metric
        self._cells = [cell for _, row in cells(recipe, model) for cell in row]
        self._known_scores: dict[str, pd.DataFrame | None] = {}
        self._undefended = self._clean_of_the_bare_model()
        self._suspicions = self._compare()

    def rows(self) -> list[dict[str, Any]]:
        """A row a cell, and after the last attack of a group one row a system for the best of them."""
        rows = []
        groups = {cell.job.group for cell in self._cells if cell.job.group}
        members = {group: [cell for cell in self._cells if cell.job.group == group] for group in groups}
        for cell in self._cells:
            rows.append(self._row(cell))
            if cell.job.group and cell is members[cell.job.group][-1]:
                systems = _grouped(members[cell.job.group], lambda cell: (cell.defense.digest, cell.knowledge))
                rows += [self._worst_case(cell.job.group, same) for same in systems]
        return _beyond_pgd(_with_gaps(rows))

    def _row(self, cell: Cell) -> dict[str, Any]:
        scores = self._costed_scores(cell)
        if scores is None:
            return self._facts_of(cell) | self._failure(cell)
        flags = " ".join(sorted(self._flags(cell)))
        return self._facts_of(cell) | self._numbers(scores) | {"flagged": flags, "status": "ok"}

    def _worst_case(self, group: str, members: list[Cell]) -> dict[str, Any]:
        """Per image the best attack of a group, by its effect on one defended system."""
        attacks = [cell.job.attack for cell in members]
        named = self._facts_of(members[0]) | {
            "attack": group,
            "attack_params": _compact({"worst_of": [cell.job.attack_name for cell in members]}),
            "access": max((attack.access for attack in attacks), key=get_args(Access).index),
        }
        found = []
        for cell in members:
            scores = self._costed_scores(cell)
            if scores is None:
                failure = self._failure(cell)
                return named | failure | {"error": f"{cell.job.attack_name}: {failure['error']}"}
            found.append(scores)
        flags = sorted({flag for cell in members for flag in self._flags(cell)})
        defense = members[0].defense.defense
        chance = defense is not None and defense.randomized
        union = worst_case(found, chance=chance, last=members[-1].job.after is not None)
        return named | self._numbers(union) | {"flagged": " ".join(flags), "status": "ok"}

    def _facts_of(self, cell: Cell) -> dict[str, Any]:
        attack = cell.job.attack
        return {
            "recipe": self._recipe.label,
            "run": run_name(self._recipe, self._facts),
            "task": type(self._facts.task).__name__.lower(),
            "dataset": self._recipe.dataset.label,
            "n": len(self._facts.samples),
            "sampling": self._recipe.sampled,
            "model": cell.job.model,
            "model_sha": self._identity["model_sha"],
            "behaviour": self._identity["behaviour"],
            "attack": cell.job.attack_name,
            "attack_params": _compact(parameters(attack), leave_out=("norm", "eps")),
            "access": attack.access,
            "source_model": cell.job.model,
            "knowledge": cell.knowledge,
            "norm": attack.norm,
            "eps": round(attack.eps, 6),
            "defense": cell.defense.name,
            "defense_params": _compact(cell.defense.parameters),
            "metric": self._name,
        }

    def _failure(self, cell: Cell) -> dict[str, str]:
        message = self._ledger.error(cell.key(self._identity))
        return {"status": "error", "error": message} if message else {"status": "pending", "error": "not run yet"}

    def _costed_scores(self, cell: Cell) -> pd.DataFrame | None:
        """The scores of a finished cell; each image bears its share of what a universal attack cost."""
        key = cell.key(self._identity)
        if key not in self._known_scores:
            self._known_scores[key] = self._read(cell, key)
        return self._known_scores[key]

    def _read(self, cell: Cell, key: str) -> pd.DataFrame | None:
        scores = self._ledger.scores(key, self._name, self._facts.samples)
        if len(scores) != len(self._facts.samples):
            return None
        for name, cost in (self._ledger.costs(cell.job.key(self._identity)) or Costs())._asdict().items():
            scores[name] += cost / len(scores)
        return scores

    def _clean_of_the_bare_model(self) -> float | None:
        for cell in self._cells:
            scores = self._costed_scores(cell) if cell.defense.defense is None else None
            if scores is not None:
                return float(scores.clean.mean())
        return None

    def _compare(self) -> dict[str, set[str]]:
        """What the attacks on one system, whatever they know of it, say about each other, by the key of the cell."""
        suspicions, jobs = {}, []
        for same in _grouped(self._cells, lambda cell: cell.defense.digest):
            finished = {cell.key(self._identity): (cell, self._costed_scores(cell)) for cell in same}
            findings = {
                key: self._finding(cell, scores) for key, (cell, scores) in finished.items() if scores is not None
            }
            compare(list(findings.values()))
            jobs += [(finished[key][0].job.key(self._identity), finding) for key, finding in findings.items()]
            suspicions |= {key: finding.flags for key, finding in findings.items()}
        compare_jobs(jobs)
        return suspicions

    def _finding(self, cell: Cell, scores: pd.DataFrame) -> Finding:
        high = 100 * estimate(scores.gfr, proportion=self._metric.proportion).high
        before = None if cell.job.after is None else cell.job.after.attack
        direct = cell.job.through == cell.defense
        return Finding(cell.job.attack, scores, high, direct=direct, after=before)

    def _flags(self, cell: Cell) -> set[str]:
        key, attack = cell.key(self._identity), cell.job.attack
        elsewhere = cell.job.through != cell.defense
        stops = {BOUNDARY} if elsewhere and isinstance(attack, Attack) and attack.stops_at_boundary else set()
        return self._ledger.flags(key) | self._suspicions[key] | stops

    def _numbers(self, scores: pd.DataFrame) -> dict[str, Any]:
        percent, proportion = 100 / self._metric.range, self._metric.proportion
        numbers = {
            **_with_interval("gfr", estimate(scores.gfr, proportion=proportion)),
            "floor": 100 * scores.floor.mean(),
        }
        labelled = not scores.clean.isna().all()
        if labelled:
            clean = estimate(scores.clean / self._metric.range, proportion=proportion)
            robust = estimate(scores.robust / self._metric.range, proportion=proportion)
            numbers |= _with_interval("clean", clean) | _with_interval("robust", robust)
        if labelled and self._undefended is not None:
            numbers["clean_drop"] = percent * self._undefended - numbers["clean"]
            if self._undefended > 0:
                numbers["clean_drop_rel"] = 100 * numbers["clean_drop"] / (percent * self._undefended)
        rounded = {key: round(value, 2) + 0.0 for key, value in numbers.items()}  # + 0.0: no minus zero
        return rounded | {
            "linf_max": round(float(scores.linf.max()), 6),
            "l2_mean": round(float(scores.l2.mean()), 6),
            "forwards_mean": round(float(scores.forwards.mean()), 2),
            "backwards_mean": round(float(scores.backwards.mean()), 2),
            "seconds": round(float(scores.seconds.sum()), 2),
        }


def worst_case(members: Sequence[pd.DataFrame], *, chance: bool, last: bool = False) -> pd.DataFrame:
    """Per image of several attacks' scores: fooled if one of them fooled it, at the cost of all of them.

    Where `chance` has a part in the scores, those of the one attack that fools most: at each image the largest of
    several such rates would make a strong attack of many harmless ones. Of an ensemble, whose `last` member has the
    strongest points of all, chosen by other draws than these, it is that one.
    """
    scores = pd.concat(members)
    by_sample = scores.groupby("sample")
    if chance:
        strongest = members[-1] if last else max(members, key=lambda member: member.gfr.mean())
        found = strongest.set_index("sample").sort_index()
    else:
        strongest = scores.sort_values("gfr", ascending=False, kind="stable").groupby("sample").head(1)
        found = strongest.set_index("sample").sort_index()
        found["robust"] = by_sample.robust.min()
    for cost in Costs._fields:
        found[cost] = by_sample[cost].sum()
    return found.reset_index()


def _grouped(cells: list[Cell], key: Callable[[Cell], Hashable]) -> list[list[Cell]]:
    """Those of the cells together that have the same key."""
    found: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        found.setdefault(key(cell), []).append(cell)
    return list(found.values())


def _with_gaps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many points more an attack fools when it knows the defense, at the row of the one that does."""
    same = ("attack", "attack_params", "norm", "eps", "defense", "defense_params")
    oblivious = {tuple(row[key] for key in same): row.get("gfr") for row in rows if row["knowledge"] == "oblivious"}
    for row in rows:
        before = oblivious.get(tuple(row[key] for key in same))
        if row["knowledge"] == "adaptive" and before is not None and row["status"] == "ok":
            row["gfr_gap"] = round(row["gfr"] - before, 2)
    return rows


def _beyond_pgd(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many points more a group of attacks fools than PGD of ten steps that knows as much, at the group's row."""
    same = ("knowledge", "norm", "eps", "defense", "defense_params")
    parameters = [json.loads(row["attack_params"]) for row in rows]
    pgd = {
        tuple(row[key] for key in same): row["gfr"]
        for row, facts in zip(rows, parameters, strict=True)
        if row["attack"] == "pgd" and facts["steps"] == 10 and row["status"] == "ok"
    }
    for row, facts in zip(rows, parameters, strict=True):
        before = pgd.get(tuple(row[key] for key in same))
        if "worst_of" in facts and before is not None and row["status"] == "ok":
            row["gfr_over_pgd10"] = round(row["gfr"] - before, 2)
    return rows


def _with_interval(name: str, rate: Estimate) -> dict[str, float]:
    return {name: 100 * rate.mean, f"{name}_low": 100 * rate.low, f"{name}_high": 100 * rate.high}


def _compact(parameters: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    kept = {key: value for key, value in parameters.items() if key not in leave_out}
    return json.dumps(kept, separators=(",", ":"), sort_keys=True, default=str)
