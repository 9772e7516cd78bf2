"""The rows of all attacks on one defended system."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from ...core.attack import Attack
from ..engine.grid import Cell, digest
from ..ledger.ledger import Costs
from ..recipe.entries import Knowledge
from ..recipe.recipe import Recipe
from .described import Row, described, described_group
from .flags import BOUNDARY, TWICE, Finding, compare, fingerprint
from .grouping import grouped
from .source import Facts, MissingScoresError, Scores, Source
from .stats import Estimate, estimate


def run_name(recipe: Recipe, facts: Facts) -> str:
    """The same for the same recipe on the same data and models."""
    return digest(recipe.content, dict(facts.identities))[:12]


class SystemRows:
    """Made from the scores of all its cells, which need memory as long as this lives, and are read once.

    `undefended` is the mean clean score of the bare model; None where this is the bare model itself. `fingerprints` are
    those of its finished cells, with the jobs that crafted.
    """

    def __init__(self, source: Source, cells: Sequence[Cell], undefended: float | None) -> None:
        self._source = source
        self._scores: dict[str, Scores | MissingScoresError] = {}
        for cell in cells:
            try:
                self._scores[source.key(cell)] = source.scores(cell)
            except MissingScoresError as missing:
                self._scores[source.key(cell)] = missing
        finished = [scores for scores in self._scores.values() if isinstance(scores, Scores)]
        own = float(finished[0].frame.clean.mean()) if finished and "clean" in finished[0].frame else None
        self.undefended = own if cells[0].defense.defense is None else undefended
        self._cells = {source.key(cell): self._row(cell) for cell in cells}
        self.fingerprints = {
            source.key(cell): (cell.job.key(source.facts.identities), fingerprint(scores.frame))
            for cell in cells
            if isinstance(scores := self._scores[source.key(cell)], Scores)
        }
        self._flag(cells)
        self._members = grouped([cell for cell in cells if cell.job.group], _group)
        self._groups = {key: self._worst_case(members) for key, members in self._members.items()}

    def of_cell(self, cell: Cell) -> Row:
        return self._cells[self._source.key(cell)]

    def of_group(self, cell: Cell) -> Row:
        """The worst case over the group of a cell, with what it knows, and crafted on the same network."""
        return self._groups[_group(cell)]

    def scored(self) -> Iterator[tuple[Row, pd.DataFrame | None]]:
        """Every row, with a row per image of what it is made from where it is finished; worst cases come last."""
        for key, row in self._cells.items():
            found = self._scores[key]
            yield row, found.frame if isinstance(found, Scores) else None
        for key, row in self._groups.items():
            yield row, self._union(self._members[key]) if row["status"] == "ok" else None

    def _row(self, cell: Cell) -> Row:
        found = self._scores[self._source.key(cell)]
        return self._facts_of(cell) | (_failure(found) if isinstance(found, MissingScoresError) else self._ok(found))

    def _ok(self, scores: Scores) -> Row:
        return self._numbers(scores.frame) | {"flagged": " ".join(sorted(scores.flags)), "status": "ok"}

    def _flag(self, cells: Sequence[Cell]) -> None:
        """What the attacks on one system, whatever they know of it, say about each other."""
        findings = {}
        for cell in cells:
            scores, before = self._scores[self._source.key(cell)], cell.job.after
            if isinstance(scores, Scores):
                findings[self._source.key(cell)] = Finding(
                    cell.job.attack,
                    scores.frame,
                    self.of_cell(cell)["gfr_high"],
                    direct=cell.direct,
                    source=cell.job.source,
                    knowledge=cell.knowledge,
                    after=None if before is None else before.attack,
                    flags=set(scores.flags) | _boundary(cell),
                )
        compare(list(findings.values()))
        for key, finding in findings.items():
            self._cells[key]["flagged"] = " ".join(sorted(finding.flags))

    def _worst_case(self, members: list[Cell]) -> Row:
        """Per image the best attack of a group."""
        rows = [self.of_cell(cell) for cell in members]
        together = {name: " ".join(dict.fromkeys(row[name] for row in rows)) for name in ("cell", "crafted")}
        named = rows[0] | described_group(members) | together
        facts = {name: named[name] for name in self._facts_of(members[0])}
        try:
            union = self._union(members)
        except MissingScoresError as missing:
            return facts | _failure(missing)
        flags = sorted({flag for row in rows for flag in row["flagged"].split()})
        return facts | self._numbers(union) | {"flagged": " ".join(flags), "status": "ok"}

    def _union(self, members: list[Cell]) -> pd.DataFrame:
        """The scores of a worst case. Raises MissingScoresError for the first member without any."""
        frames = []
        for cell in members:
            found = self._scores[self._source.key(cell)]
            if isinstance(found, MissingScoresError):
                raise MissingScoresError(found.status, f"{cell.job.attack_name}: {found}")
            frames.append(found.frame)
        defense = members[0].defense.defense
        chance = defense is not None and defense.randomized
        return worst_case(frames, chance=chance, last=members[-1].job.after is not None)

    def _facts_of(self, cell: Cell) -> Row:
        source = self._source
        return {
            "recipe": source.recipe.label,
            "run": run_name(source.recipe, source.facts),
            "task": type(source.facts.task).__name__.lower(),
            "dataset": source.recipe.dataset.label,
            "n": len(source.facts.samples),
            "clusters": None if source.facts.clusters is None else len(set(source.facts.clusters)),
            "sampling": source.recipe.sampled,
            "model_sha": source.identity["model_sha"],
            "behaviour": source.identity["behaviour"],
            **described(cell),
            "metric": source.name,
            "cell": source.key(cell),
            "crafted": str(cell.job.place(source.facts.identities)),
        }

    def _numbers(self, scores: pd.DataFrame) -> Row:
        metric, clusters = self._source.metric, scores.get("cluster")

        def rate(values: Any) -> Estimate:
            return estimate(values, proportion=metric.proportion, clusters=clusters)

        numbers = {
            **_with_interval("gfr", rate(scores.gfr)),
            "floor": 100 * scores.floor.mean(),
        }
        for name in ("clean", "robust"):
            if name in scores:  # where there are labels
                numbers |= _with_interval(name, rate(scores[name] / metric.range))
        if self.undefended is not None:
            bare = 100 / metric.range * self.undefended
            numbers["clean_drop"] = bare - numbers["clean"]
            if bare > 0:
                numbers["clean_drop_rel"] = 100 * numbers["clean_drop"] / bare
        rounded = {key: round(value, 2) + 0.0 for key, value in numbers.items()}  # + 0.0: no minus zero
        return rounded | {
            "linf_max": round(float(scores.linf.max()), 6),
            "l2_mean": round(float(scores.l2.mean()), 6),
            "rounding_undone": round(100 * float(scores.undone.mean()), 2),
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
        if "robust" in found:
            found["robust"] = by_sample.robust.min()
    for cost in Costs._fields:
        found[cost] = by_sample[cost].sum()
    return found.reset_index()


def flag_twice(rows: Iterable[Row], cells: set[str]) -> None:
    """Rows that are made from one of the cells bear the flag."""
    for row in rows:
        if row["status"] == "ok" and not cells.isdisjoint(row["cell"].split()):
            row["flagged"] = " ".join(sorted({*row["flagged"].split(), TWICE}))


def _group(cell: Cell) -> tuple[str | None, Knowledge, str]:
    """What a worst case is over: what is crafted elsewhere says nothing of what this system stands."""
    return cell.job.group, cell.knowledge, cell.job.source


def _failure(missing: MissingScoresError) -> Row:
    return {"status": missing.status, "error": str(missing)}


def _boundary(cell: Cell) -> set[str]:
    attack = cell.job.attack
    return {BOUNDARY} if not cell.direct and isinstance(attack, Attack) and attack.stops_at_boundary else set()


def _with_interval(name: str, rate: Estimate) -> dict[str, float]:
    return {name: 100 * rate.mean, f"{name}_low": 100 * rate.low, f"{name}_high": 100 * rate.high}
