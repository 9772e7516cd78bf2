"""The fixture `foolbench`: evaluate one attack on one system, and return rates to assert on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from ...core.errors import ConfigError
from ...core.registry import NOTHING
from ..leaderboard.stats import Estimate
from ..python.evaluate import evaluate
from .summary import line_of


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one attack on one system; fields are named like the leaderboard's columns.

    Rates are in percent. `gfr`, `clean` and `robust` have `mean`, `low` and `high`; `clean`, `robust` and `clean_drop`
    are None without labels. `row` has all columns, and `flagged` the reasons not to believe the numbers.
    """

    gfr: Estimate
    clean: Estimate | None
    robust: Estimate | None
    clean_drop: float | None
    floor: float
    n: int
    flagged: tuple[str, ...]
    row: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Result":
        known = {name: None if pd.isna(value) else value for name, value in row.items()}

        def rate(name: str) -> Estimate | None:
            ends = [float(row[column]) for column in (name, f"{name}_low", f"{name}_high")]
            return None if pd.isna(ends).any() else Estimate(*ends)

        return cls(
            gfr=Estimate(*(float(row[column]) for column in ("gfr", "gfr_low", "gfr_high"))),
            clean=rate("clean"),
            robust=rate("robust"),
            clean_drop=known["clean_drop"],
            floor=float(row["floor"]),
            n=int(row["n"]),
            flagged=tuple(row["flagged"].split()),
            row=known,
        )


class Foolbench:
    """The value of the fixture `foolbench`; its results are also shown in the test report, JUnit file and summary."""

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    def evaluate(self, model: Any, data: Any, *, attack: Any, defense: Any = None, **options: Any) -> Result:
        """Evaluate one attack on a model with or without a defense; for an ensemble, return the worst case.

        `options` are the other parameters of `foolbench.evaluate`. The test fails if the attack or the defense raises
        an error. Raises FoolbenchError for invalid arguments.
        """
        several = [name for name in ("attacks", "defenses", "source_models") if name in options]
        if several:
            raise ConfigError(f"Expected one attack= and one defense=, got {several[0]}=; see foolbench.evaluate.")
        knowledge = options.setdefault("knowledge", "oblivious")
        if knowledge not in ("oblivious", "adaptive"):
            raise ConfigError(f'Expected knowledge="oblivious" or knowledge="adaptive", got {knowledge!r}.')
        options.setdefault("silent", True)
        table = evaluate(model, data, attacks=[attack], defenses=() if defense is None else [defense], **options)
        row = _chosen(table, defended=defense is not None, knowledge=knowledge)
        if row["status"] != "ok":
            pytest.fail(f"{row['attack']} on {row['model']} behind {row['defense']}: {row['error']}", pytrace=False)
        line = f"{row['model']} x {row['attack']} x {row['defense']}, {row['knowledge']}: {line_of(row)}"
        self._node.user_properties.append(("foolbench", line))
        return Result.of(row)


def _chosen(table: pd.DataFrame, *, defended: bool, knowledge: str) -> dict[str, Any]:
    """Return the system's last row in the main metric: the attack, or the worst case over an ensemble's members."""
    if table.model.nunique() > 1:
        raise ConfigError(f"Expected one model, got {table.model.nunique()}; see foolbench.evaluate.")
    main = table.metric.iloc[0]
    known = [
        {str(name): value for name, value in row.items()}
        for row in table.to_dict("records")
        if row["metric"] == main and (row["defense"] != NOTHING) == defended
        if not defended or row["knowledge"] == knowledge
    ]
    if not known:
        raise ConfigError(f"{table.attack.iloc[-1]} asks no model anything: it cannot be {knowledge}.")
    return known[-1]
