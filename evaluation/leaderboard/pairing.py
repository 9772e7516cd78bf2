"""Pair leaderboard rows for comparison: rows that differ in one respect, or equal rows of two runs."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any, Literal, NamedTuple

import numpy as np

from ...core.errors import InputError, UnknownNameError
from ...core.registry import NOTHING
from ...core.words import budget
from ..grid.identity import SCORED
from ..grid.labels import knowledges, labels
from .columns import DEFENSE
from .grouping import grouped
from .paired import Difference
from .rates import difference_between
from .scored_rows import ScoredRow
from .units import difference_in_unit

By = Literal["defense", "attack", "model", "knowledge"]
"""The respect in which the two rows of a pair differ."""
Rate = Literal["gfr", "robust"]
"""The rate that is compared: how often attacks change a prediction, or how often it stays right."""
_COLUMNS: dict[str, tuple[str, ...]] = {
    "model": ("model",),
    "attack": ("attack", "attack_params", "seed"),
    "defense": DEFENSE,
    "knowledge": ("knowledge", "source_defense", "source_defense_params"),
}
_ALWAYS_EQUAL = ("norm", "eps", "metric")
_DECISIVE = ("version of foolbench", "hash of the images", "task")


class Pair(NamedTuple):
    """Two rows, the second compared with the first; `setting` describes what they have in common."""

    first: ScoredRow
    second: ScoredRow
    first_name: str
    second_name: str
    setting: str

    @property
    def is_finished(self) -> bool:
        return self.first.scores is not None and self.second.scores is not None

    def difference(self, of: Rate) -> Difference | None:
        """Return the second rate minus the first, in the unit of a leaderboard; None if one of the rows has no scores.

        Raises InputError for `robust` if the images have no labels.
        """
        first, second = self.first.scores, self.second.scores
        if first is None or second is None:
            return None
        for scored, scores in ((self.first, first), (self.second, second)):
            if of not in scores:
                raise InputError(
                    f"The images of {scored.run} have no labels, so that nothing can be right: compare of gfr."
                )
        return difference_in_unit(first.metric, of, difference_between(first, second, of))


class _Named(NamedTuple):
    """A row with readable names of its model, attack, defense, knowledge and metric."""

    scored: ScoredRow
    names: dict[str, str]

    def key(self, by: By | None) -> tuple[Any, ...]:
        """Return a key that is equal for rows that differ at most in `by`."""
        row = self.scored.row
        compared = [name for thing, names in _COLUMNS.items() if thing != by for name in names]
        source = None if row["source_model"] == row["model"] else row["source_model"]  # None: the model itself
        return source, *(row[name] for name in (*compared, *_ALWAYS_EQUAL))

    def setting(self, by: By | None) -> str:
        row = self.scored.row
        whole = " x ".join(self.names[thing] for thing in ("model", "attack", "defense") if thing != by)
        source = f"{row['source_model']} > " if row["source_model"] != row["model"] else ""
        knowing = self.names["knowledge"] if by != "knowledge" else ""
        return ", ".join(filter(None, [f"{source}{whole}", knowing, self.names["metric"]]))


def pairs_within(rows: Sequence[ScoredRow], by: By, baseline: str | None) -> list[Pair]:
    """Pair rows of one run that differ in nothing but `by`: each with the row named `baseline`, or else every two.

    Raises InputError if there are no pairs, or if a row of one is not run yet, and UnknownNameError for a baseline that
    no row has. Rows that share a cell, such as a worst case and one of its members, are not paired.
    """
    named = _with_bare_for_all(_named(rows), by)
    _check_baseline(named, by, baseline)
    found = []
    for same in grouped(named, lambda one: one.key(by)).values():
        others = [one for one in same if one.names[by] != baseline]
        of_baseline = [one for one in same if one.names[by] == baseline]
        chosen = combinations(same, 2) if baseline is None else product(of_baseline, others)
        found += [_pair(*two, by) for two in chosen if not _share_cells(*two)]
    if not found:
        run = rows[0].run
        raise InputError(f"Nothing in {run} can be compared by {by}: no two of its rows differ in that alone.")
    _check_finished(found)
    return found


def pairs_between(
    ours: Sequence[ScoredRow], theirs: Sequence[ScoredRow], by: By | None, baseline: str | None
) -> list[Pair]:
    """Pair rows of two runs: equal rows without `by`, otherwise rows that differ in `by` and in nothing else.

    With `by` and a `baseline`, only the first run's rows of this name are paired. Raises InputError if there are no
    pairs, if a row of one is not run yet, or if the runs differ in images or version, and UnknownNameError for a
    baseline that no row of the first run has.
    """
    named = _named([*ours, *theirs])
    first, second = _with_bare_for_all(named[: len(ours)], by), _with_bare_for_all(named[len(ours) :], by)
    if by is not None:
        _check_baseline(first, by, baseline)
    groups = grouped(second, lambda one: one.key(by))
    found = [
        _pair(one, other, by)
        for one in first
        for other in groups.get(one.key(by), ())
        if by is None or (one.names[by] != other.names[by] and baseline in (None, one.names[by]))
    ]
    if not found:
        raise InputError(_nothing_in_common(first, second, by))
    _check_finished(found)
    for pair in found:
        _check_same_images(pair)
    return found


def _named(rows: Sequence[ScoredRow]) -> list[_Named]:
    """Give each row its readable names; the name of the metric is empty if all rows have the same."""
    facts = [scored.row for scored in rows]
    same = ["model", *(["metric"] if len({row["metric"] for row in facts}) > 1 else [])]
    called = zip(labels(facts, "attack"), labels(facts, "defense"), knowledges(facts), strict=True)
    return [
        _Named(
            scored,
            {"metric": "", "attack": attack, "defense": defense, "knowledge": knowledge}
            | {name: scored.row[name] for name in same},
        )
        for scored, (attack, defense, knowledge) in zip(rows, called, strict=True)
    ]


def _with_bare_for_all(named: list[_Named], by: By | None) -> list[_Named]:
    """If defenses are compared, repeat the rows of the bare network as adaptive ones.

    An attack on the bare network knows all of it, so oblivious and adaptive rows alike are compared with it.
    """
    if by != "defense":
        return named
    bare = [one for one in named if _is_on_bare(one.scored.row)]
    known = [one._replace(scored=replace(one.scored, row=one.scored.row | {"knowledge": "adaptive"})) for one in bare]
    return [*bare, *known, *(one for one in named if not _is_on_bare(one.scored.row))]


def _is_on_bare(row: dict[str, Any]) -> bool:
    return row["defense"] == NOTHING and row["knowledge"] != "crossed"


def _share_cells(first: _Named, second: _Named) -> bool:
    """Return whether two rows share a cell, as a worst case does with its members: it is no weaker by construction."""
    return not set(first.scored.row["cell"].split()).isdisjoint(second.scored.row["cell"].split())


def _pair(first: _Named, second: _Named, by: By | None) -> Pair:
    one, other = (named.scored.run if by is None else named.names[by] for named in (first, second))
    return Pair(first.scored, second.scored, one, other, second.setting(by))


def _check_baseline(named: Sequence[_Named], by: By, baseline: str | None) -> None:
    known = {one.names[by] for one in named}
    if baseline is not None and baseline not in known:
        raise UnknownNameError(by, baseline, known)


def _check_finished(pairs: Sequence[Pair]) -> None:
    """Raise InputError for a pending row: the correction for multiple comparisons needs all pairs."""
    for scored in (scored for pair in pairs for scored in pair[:2]):
        if scored.row["status"] == "pending":
            cell = " x ".join(scored.row[thing] for thing in ("model", "attack", "defense"))
            raise InputError(f"{scored.run} is not finished, {cell} is not run yet: the command that began it goes on.")


def _check_same_images(pair: Pair) -> None:
    first, second = pair.first.scores, pair.second.scores
    if first is None or second is None:
        return
    ours, theirs = _facts_of_images(pair.first), _facts_of_images(pair.second)
    same_images = np.array_equal(first.numbers("sample"), second.numbers("sample"))
    if same_images and all(ours[fact] == theirs[fact] for fact in _DECISIVE):
        return
    told = [f"{fact} ({ours[fact]}, {theirs[fact]})" for fact in ours if ours[fact] != theirs[fact]]
    raise InputError(
        f"Expected two runs of the same images by the same version, but {pair.first.run} and {pair.second.run} differ "
        f"in {', '.join(told) or 'the images that they took'}."
    )


def _facts_of_images(scored: ScoredRow) -> dict[str, Any]:
    row, identity = scored.row, scored.identity
    return {
        "version of foolbench": identity["foolbench"],
        "hash of the images": identity["data"],
        "task": identity.get(SCORED, {}),
        "data set": row["dataset"],
        "number of images": row["n"],
        "sampling": row["sampling"],
    }


def _threat(row: dict[str, Any]) -> str:
    return f"{row['norm']} eps {budget(row['eps'])}"


def _nothing_in_common(first: Sequence[_Named], second: Sequence[_Named], by: By | None) -> str:
    """Return a message that names the budget, or the first respect, that no two rows of the two runs share, if any."""
    runs = f"{first[0].scored.run} and {second[0].scored.run}"
    threats, theirs = ({_threat(one.scored.row) for one in named} for named in (first, second))
    if threats.isdisjoint(theirs):
        named = f"({', '.join(sorted(threats))}; {', '.join(sorted(theirs))})"
        return f"{runs} have no rows to compare: no budget is in both {named}."
    for thing in _COLUMNS:
        ours, theirs = (dict.fromkeys(one.names[thing] for one in named) for named in (first, second))
        if thing != by and ours.keys().isdisjoint(theirs):
            named = f"({', '.join(ours)}; {', '.join(theirs)})"
            return f"{runs} have no rows to compare: no {thing} is in both {named}; compare by {thing} to see them."
    return f"{runs} have no rows to compare: none of them are equal{f' but for the {by}' if by else ''}."
