"""`foolbench.compare`: a table of paired differences between rows of one run or of two."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from ...core.errors import ConfigError
from ...core.registry import NOTHING
from ..leaderboard.columns import CELL
from ..leaderboard.columns import COLUMNS as LEADERBOARD
from ..leaderboard.paired import holm
from ..leaderboard.pairing import By, Pair, Rate, pairs_between, pairs_within
from ..leaderboard.units import decimals
from ..recipe.plugins import load_plugins
from .finished import finished_rows

_SHARED = (*CELL, "metric", "unit", "dataset", "n", "clusters")
COLUMNS: Mapping[str, str] = {
    "setting": "what the two have in common, in words",
    "first": "what is compared with: a name, or the folder of the first run",
    "second": "what is compared with it",
    "by": "what the two differ in: defense, attack, model or knowledge; empty for equal rows of two runs",
    "rate": "gfr or robust",
    **{name: f"{LEADERBOARD[name].says}; empty where the two differ" for name in _SHARED},
    "rate_first": "the rate of the first: gfr in percent, robust in its `unit`",
    "rate_second": "that of the second",
    "difference": "the second minus the first, in points or in that unit",
    "low": "lower end of its 95% interval",
    "high": "upper end",
    "only_first": "of rates whose images count 0 or 1: how many count for the first alone",
    "only_second": "for the second alone",
    "test": "mcnemar or permutation",
    "p": "of the test, two-sided",
    "p_holm": "corrected for the number of rows",
    "images_needed": "how many images show half of the difference: power 80%, level 5%, not corrected",
    "flagged_first": "reasons not to believe the first rate, with spaces between",
    "flagged_second": "the second",
    "status": "ok, or error where one of the two has failed",
    "error": "what went wrong",
    "run_first": "the folder of the first",
    "run_second": "that of the second",
    "cell_first": "what the scores of the first are called in `ledger.sqlite`",
    "cell_second": "those of the second",
}
"""The columns of the table in their order, each with its meaning."""
_COUNTS = ("n", "clusters", "only_first", "only_second", "images_needed")


def compare(
    run: str | Path,
    other: str | Path | None = None,
    *,
    by: By | None = None,
    baseline: str | None = None,
    all_pairs: bool = False,
    of: Rate = "gfr",
) -> pd.DataFrame:
    """Compare systems on the same images; return a row per pair, with the columns of `COLUMNS`.

    Within one `run`, a result folder, pairs are rows that differ only in their defense, or in the `by` that is given:
    attack, model or knowledge. Defenses are compared with "none" or the `baseline`, and each with each if `all_pairs`;
    the others each with each or with the `baseline`. With an `other` run, its rows are compared with the equal ones of
    the first, or with those that differ in `by`. `of` is the rate, "gfr" or "robust".

    Raises ConfigError or InputError, in one sentence, if there is nothing to compare, if images or versions differ or
    if a row has not run yet; OutputError for a folder without a run.
    """
    load_plugins([])
    for name, given, known in (("by", by, (*get_args(By), None)), ("of", of, get_args(Rate))):
        if given not in known:
            raise ConfigError(f"Expected {name} to be one of {', '.join(map(str, known))}, got {given!r}.")
    if baseline is not None and (all_pairs or (other is not None and by is None)):
        raise ConfigError("Expected a baseline where rows differ by something and not all pairs are asked for.")
    if other is not None:
        pairs = pairs_between(finished_rows(Path(run)), finished_rows(Path(other)), by, baseline)
    else:
        by = by or "defense"
        usual = NOTHING if by == "defense" and not all_pairs else None
        pairs = pairs_within(finished_rows(Path(run)), by, baseline or usual)
    return _table(pairs, by, of)


def _table(pairs: Sequence[Pair], by: By | None, of: Rate) -> pd.DataFrame:
    rows = [_told(pair) | {"by": by, "rate": of} | _numbers(pair, of) for pair in pairs]
    finished = [row for row in rows if row["status"] == "ok"]
    for row, corrected in zip(finished, holm([row["p"] for row in finished]), strict=True):
        row["p_holm"] = corrected
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(_COUNTS, "Int64"))


def _told(pair: Pair) -> dict[str, Any]:
    first, second = pair.first.row, pair.second.row
    return {
        "setting": pair.setting,
        "first": pair.first_name,
        "second": pair.second_name,
        **{name: first[name] if first[name] == second[name] else None for name in _SHARED},
        "flagged_first": first.get("flagged", ""),
        "flagged_second": second.get("flagged", ""),
        "run_first": pair.first.run,
        "run_second": pair.second.run,
        "cell_first": first["cell"],
        "cell_second": second["cell"],
    }


def _numbers(pair: Pair, of: Rate) -> dict[str, Any]:
    found, digits = pair.difference(of), decimals(pair.first.row["unit"], of)
    if found is None:
        named = ((pair.first_name, pair.first), (pair.second_name, pair.second))
        errors = [f"{name}: {scored.row['error']}" for name, scored in named if scored.scores is None]
        return {"status": "error", "error": "; ".join(errors)}
    points = {
        "rate_first": found.first,
        "rate_second": found.second,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
    }
    return {
        **{name: round(value, digits) + 0.0 for name, value in points.items()},  # + 0.0: no minus zero
        "only_first": found.only_first,
        "only_second": found.only_second,
        "test": found.test,
        "p": found.p,
        "images_needed": found.needed,
        "status": "ok",
    }
