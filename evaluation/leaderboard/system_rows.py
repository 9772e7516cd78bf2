"""Make the leaderboard rows of all attacks on one system, a model with or without a defense."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import stdev

from ..grid.bundles import Bundle, bundles
from ..grid.cells import Cell
from ..grid.described import Row, described, described_bundle
from ..grid.planned import Planned
from .abstaining import rates as abstaining_rates
from .chance import is_by_chance
from .distances import AREA
from .findings import Findings, scores_of
from .flags import TWICE
from .queries import QUERY_AREA
from .rates import point, rate
from .scores import Scores
from .source import MissingScoresError, Source
from .stats import Estimate
from .undefended import Undefended
from .united import mean_over_seeds, worst_case
from .units import decimals, estimate_in_unit, for_the_worse, in_unit, unit_of


class SystemRows:
    """The rows of one system, each made only when it is asked for, because intervals take time.

    The scores of its `cells` are read once, and stay in memory as long as the object lives. `findings` collect what the
    attacks on the system say about each other; these cells are added to them if they are not there yet. `undefended` is
    computed from the cells if it is None and they are the bare model's.

    The attribute `cells` maps keys to cells, `members` has the cells by bundle and digest of the defense that they are
    crafted through, and `digest` is that of the defense that they are scored through.
    """

    def __init__(
        self, source: Source, cells: Sequence[Cell], undefended: Undefended | None, findings: Findings
    ) -> None:
        self._source, self.digest, self.findings = source, cells[0].defense.digest, findings
        self.cells = {source.key(cell): cell for cell in cells}
        self._scores = {key: _scores(source, cell) for key, cell in self.cells.items()}
        finished = {key: scores for key, scores in self._scores.items() if isinstance(scores, Scores)}
        for key, scores in finished.items():
            findings.add(key, self.cells[key], scores)
        if undefended is None and cells[0].defense.defense is None:
            undefended = Undefended.of((source.run.grid.key(self.cells[key].job), finished[key]) for key in finished)
        self.undefended = undefended or Undefended()
        self._of_cells: dict[str, Row] = {}
        self.members: dict[tuple[Bundle, str], list[Cell]] = {}
        for cell in cells:
            for bundle in bundles(cell):
                self.members.setdefault((bundle, cell.job.through.digest), []).append(cell)

    def of_cell(self, key: str) -> Row:
        """Return the row of a cell by its key; every call returns the same object."""
        if key not in self._of_cells:
            found, facts = self._scores[key], self._facts_of(self.cells[key])
            missing = isinstance(found, MissingScoresError)
            told = _failure(found) if missing else self._ok_of(key, found)
            self._of_cells[key] = facts | told
        return self._of_cells[key]

    def of_bundle(self, bundle: Bundle, through: str) -> Row:
        """Make the row of a bundle crafted through a defense, given by digest; the cells must have all its members."""
        return self._together(bundle, self.members[bundle, through])

    def scored(self) -> Iterator[tuple[Row, Scores | None]]:
        """Yield every row with its scores, None unless it is finished; the rows of bundles come last."""
        for key in self.cells:
            yield self.scored_cell(key)
        for bundle, through in self.members:
            yield self.scored_bundle(bundle, through)

    def scored_plan(self, plan: Planned) -> tuple[Row, Scores | None]:
        """Return a planned row of this system with its scores, None unless it is finished."""
        first = plan.cells[0]
        if plan.bundle is None:
            return self.scored_cell(self._source.key(first))
        return self.scored_bundle(plan.bundle, first.job.through.digest)

    def scored_cell(self, key: str) -> tuple[Row, Scores | None]:
        found = self._scores[key]
        return self.of_cell(key), found if isinstance(found, Scores) else None

    def scored_bundle(self, bundle: Bundle, through: str) -> tuple[Row, Scores | None]:
        row = self.of_bundle(bundle, through)
        if row["status"] != "ok":
            return row, None
        members = self.members[bundle, through]
        return row, _united(bundle, members, self._finished(members))

    def _ok_of(self, key: str, scores: Scores) -> Row:
        return self._ok(scores, self.findings.flags(key)) | self._recovered([self.cells[key]], [scores])

    def _recovered(self, cells: Sequence[Cell], members: Sequence[Scores], *, worst: bool = False) -> Row:
        """Return how many images attacks succeeded on without the defense, and how many of them are right, by column.

        Empty for attacks that are crafted through a defense.
        """
        jobs = [self._source.run.grid.key(cell.job) for cell in cells]
        found = self.undefended.recovered(dict(zip(jobs, members, strict=True)), worst=worst)
        if found is None or cells[0].job.through.defense is not None:
            return {}
        row: Row = {"successes": found.successes}
        by_chance = worst and any(map(is_by_chance, cells, members))  # the worst of several random rates is chance
        if found.rate is None or by_chance or cells[0].defense.defense is None:
            return row
        metric = members[0].metric
        exact = _with_interval("recovered", estimate_in_unit(metric, "recovered", found.rate))
        return row | {name: round(value, decimals(unit_of(metric), name)) for name, value in exact.items()}

    def _ok(self, scores: Scores, flags: Iterable[str]) -> Row:
        return self._numbers(scores) | {"flagged": " ".join(sorted(flags)), "status": "ok"}

    def _together(self, bundle: Bundle, members: list[Cell]) -> Row:
        """Make the row of a bundle from its members, all crafted through the same defense."""
        rows = [self.of_cell(self._source.key(cell)) for cell in members]
        together = {name: " ".join(dict.fromkeys(row[name] for row in rows)) for name in ("cell", "crafted")}
        named = rows[0] | described_bundle(bundle, members) | together
        facts = {name: named[name] for name in self._facts_of(members[0])}
        try:
            finished = self._finished(members)
        except MissingScoresError as missing:
            return facts | _failure(missing)
        recovered = self._recovered(members, finished, worst=bundle.kind == "worst case")
        flags = {flag for row in rows for flag in row["flagged"].split()}
        if bundle.kind == "mean":
            facts["gfr_seeds_sd"] = round(stdev(row["gfr"] for row in rows), 2)
        return facts | self._ok(_united(bundle, members, finished), flags) | recovered

    def _finished(self, members: Sequence[Cell]) -> Sequence[Scores]:
        """Return the scores of a bundle's members. Raises MissingScoresError for the first member without any."""
        finished: list[Scores] = []
        for cell in members:
            found = self._scores[self._source.key(cell)]
            if isinstance(found, MissingScoresError):
                raise MissingScoresError(found.status, f"{cell.job.attack_name}: {found}")
            finished.append(found)
        return finished

    def _facts_of(self, cell: Cell) -> Row:
        source = self._source
        run, recipe, facts = source.run, source.run.recipe, source.run.facts
        return {
            "recipe": recipe.label,
            "run": run.name,
            "task": type(facts.task).__name__.lower(),
            "dataset": recipe.dataset.label,
            "n": len(facts.samples),
            "clusters": None if facts.clusters is None else len(set(facts.clusters)),
            "sampling": recipe.sampled,
            "model_sha": source.identity["model_sha"],
            "behaviour": source.identity["behaviour"],
            **described(cell),
            "metric": source.name,
            "unit": unit_of(source.metric),
            "cell": source.key(cell),
            "crafted": str(run.grid.place(cell.job)),
        }

    def _numbers(self, scores: Scores) -> Row:
        metric, numbers = scores.metric, {"floor": 100 * point(scores, "floor")}
        for name in ("gfr", "clean", "robust", "attacked", "at_target"):
            if name in scores:  # the first always, the next three with labels, the last of an attack with targets
                numbers |= _with_interval(name, estimate_in_unit(metric, name, rate(scores, name)))
        for area, name in ((AREA, "gfr_area"), (QUERY_AREA, "gfr_area_queries")):
            if area in scores:
                numbers[name] = 100 * float(scores.numbers(area).mean())
        for name, found in abstaining_rates(scores).items():
            numbers |= _with_interval(name, estimate_in_unit(metric, name, found))
        unit = unit_of(metric)
        if self.undefended.clean is not None:
            bare = in_unit(metric, "clean", self.undefended.clean)
            numbers["clean_drop"] = for_the_worse(unit, "clean") * (numbers["clean"] - bare)
            if bare > 0:
                numbers["clean_drop_rel"] = 100 * numbers["clean_drop"] / bare
        rounded = {key: round(value, decimals(unit, key)) + 0.0 for key, value in numbers.items()}  # no minus zero
        if "layer_shift" in scores:
            rounded["layer_shift"] = round(float(scores.numbers("layer_shift").mean()), 4)
        return rounded | {
            "linf_max": round(float(scores.numbers("linf").max()), 6),
            "l2_mean": round(float(scores.numbers("l2").mean()), 6),
            "rounding_undone": round(100 * float(scores.numbers("undone").mean()), 2),
            "forwards_mean": round(float(scores.numbers("forwards").mean()), 2),
            "backwards_mean": round(float(scores.numbers("backwards").mean()), 2),
            "seconds": round(float(scores.numbers("seconds").sum()), 2),
        }


def _united(bundle: Bundle, members: Sequence[Cell], finished: Sequence[Scores]) -> Scores:
    """Combine the finished scores of a bundle."""
    if bundle.kind == "mean":
        return mean_over_seeds(finished)
    chance = any(map(is_by_chance, members, finished))
    return worst_case(finished, chance=chance, last=_goes_on(members))


def _goes_on(members: Sequence[Cell]) -> bool:
    """Return whether the last member continued from the strongest points of all others, on this very system."""
    return members[-1].job.after is not None and all(cell.direct for cell in members)


def flag_twice(rows: Iterable[Row], cells: set[str]) -> None:
    """Add the flag `same-result-twice` to the finished rows that are made from one of the cells."""
    for row in rows:
        if row["status"] == "ok" and not cells.isdisjoint(row["cell"].split()):
            row["flagged"] = " ".join(sorted({*row["flagged"].split(), TWICE}))


def _scores(source: Source, cell: Cell) -> Scores | MissingScoresError:
    try:
        return scores_of(source, cell)
    except MissingScoresError as missing:
        return missing


def _failure(missing: MissingScoresError) -> Row:
    return {"status": missing.status, "error": str(missing)}


def _with_interval(name: str, rate: Estimate) -> dict[str, float]:
    return {name: rate.mean, f"{name}_low": rate.low, f"{name}_high": rate.high}
