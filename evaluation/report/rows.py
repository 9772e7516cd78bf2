"""Leaderboard rows for display, with names of attacks and defenses that are unique among the rows shown together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...core.registry import NOTHING
from ...core.words import budget
from ..grid.bundles import is_of_one_seed
from ..grid.labels import labels, throughs
from ..leaderboard.units import shown_decimals

Record = dict[str, Any]
"""A leaderboard row: its values by column."""


@dataclass(frozen=True, kw_only=True)
class NamedRow:
    """A leaderboard row, `values` by column, with display names.

    `attack`, `defense` and `through`, the system that the attack was crafted through, include the parameters that
    distinguish them from others of the same name.
    """

    values: Mapping[str, Any]
    attack: str
    defense: str
    through: str

    def __getitem__(self, column: str) -> Any:
        """Return the value of a column, or None if it is missing, empty or NaN."""
        found = self.values.get(column)
        return None if found is None or found == "" or pd.isna(found) else found

    def digits(self, column: str) -> tuple[int, int]:
        """Return the decimals of a rate and of its interval's ends; errors need more than percents."""
        return shown_decimals(self["unit"], column)

    @property
    def ok(self) -> bool:
        return self["status"] == "ok"

    @property
    def of_one_seed(self) -> bool:
        """Whether the row is of one of several seeds, whose mean is another row."""
        return is_of_one_seed(self["seed"])

    @property
    def ensemble(self) -> str | None:
        """The ensemble that the attack is a member of, or None."""
        whole, slash, _ = str(self["attack"]).partition("/")
        return whole if slash else None

    @property
    def bare(self) -> bool:
        """Whether the row scores the network without a defense."""
        return self["defense"] == NOTHING

    @property
    def sourceless(self) -> bool:
        """Whether the attack needs no access to any network."""
        return self["access"] == "none"

    @property
    def adaptive(self) -> bool:
        """Whether the attack was crafted through the defense that it is scored on."""
        return self["knowledge"] == "adaptive"

    @property
    def crossed(self) -> bool:
        """Whether the attack was crafted through another defense than the one that it is scored on."""
        return self["knowledge"] == "crossed"

    @property
    def foreign(self) -> bool:
        """Whether the attack was crafted on another network than the one that it is scored on."""
        return self["source_model"] != self["model"]

    @property
    def transfers(self) -> bool:
        """Whether the attack was crafted on another network, or through another defense."""
        return self.foreign or self.crossed

    @property
    def knows(self) -> bool:
        """Whether the attack knew the whole system that it is scored on: network and defense."""
        return not self.transfers and (self.adaptive or self.bare)

    @property
    def flags(self) -> list[str]:
        return str(self["flagged"] or "").split()


def records(table: pd.DataFrame) -> list[Record]:
    known = table.astype({"flagged": object}).fillna({"flagged": ""})  # may be missing, as in failed rows
    return [{str(key): value for key, value in row.items()} for row in known.to_dict("records")]


def named(values: Sequence[Record]) -> list[NamedRow]:
    """Return the rows with display names that are unique among them; attacks include the budget if budgets differ."""
    attacks = labels(values, "attack")
    if len({(own["norm"], own["eps"]) for own in values}) > 1:
        attacks = [_with_budget(attack, own) for attack, own in zip(attacks, values, strict=True)]
    told = zip(values, attacks, labels(values, "defense"), throughs(values), strict=True)
    return [NamedRow(values=own, attack=attack, defense=other, through=through) for own, attack, other, through in told]


def _with_budget(attack: str, row: Record) -> str:
    """Return an attack's name with its budget, unless the name contains it already."""
    return attack if " eps " in attack else f"{attack}, {row['norm']} {budget(float(row['eps']))}"
