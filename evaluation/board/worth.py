"""Rank defenses by the strongest attack on each, with and without knowledge of the defense, and state their cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.words import counted
from ..leaderboard.flags import leads_astray
from ..leaderboard.grouping import grouped
from .board import Row

UNBROKEN = "\N{NON-BREAKING HYPHEN}"
"""Stands in the intervals of sentences, so that none is torn at the end of a line."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """How robust one system is.

    `knowing` and `oblivious` are the rows of the strongest attack that knew the system and of the strongest that did
    not; the bare network, which every attack knows, has only the former. `clean` is a row with the clean rate, if there
    is one. `masked` are flags of the strongest attack that knew the system, by which its knowledge or its gradient
    misled it, as with gradient masking.
    """

    defense: str
    bare: bool
    knowing: Row | None
    oblivious: Row | None
    clean: Row | None
    masked: Sequence[str]

    @property
    def strongest(self) -> Row | None:
        """The row of the strongest of all attacks: an attacker who knows the defense can use oblivious attacks, too."""
        return _strongest([row for row in (self.knowing, self.oblivious) if row is not None])


def worths(rows: Sequence[Row]) -> list[Worth]:
    """Return the systems of a part of a board, the most robust first, by the rate of the strongest attack.

    Systems whose strongest knowing attack is flagged as misled come after those, and systems that no attack knew
    come last, since their robustness is unknown. Attacks crafted on other networks, or through other defenses, count as
    attacks that do not know the system.
    """
    found = [_worth(name, same) for name, same in grouped(rows, lambda row: row.defense).items()]
    return sorted(found, key=lambda worth: (worth.knowing is None, bool(worth.masked), _rate(worth.strongest)))


def verdict(found: Sequence[Worth]) -> str:
    """Return the ranking in one or two sentences, or "" if there is no defense, or none with results."""
    bare = next((worth for worth in found if worth.bare), None)
    defended = [worth for worth in found if not worth.bare]
    known = [worth for worth in defended if worth.knowing is not None]
    if not known:
        tried = any(worth.oblivious is not None for worth in defended)
        warning = "No attack here knows the defenses: what they are worth against one that does, nobody has tried."
        return warning if tried else ""
    best = known[0]
    if best.masked:
        told = f"the row bears {counted(len(best.masked), 'flag')} ({', '.join(best.masked)})"
        return f"What {best.defense} is worth nobody knows: the attack that knew it was led astray, {told}."
    row = best.strongest
    assert row is not None
    sentence = f"Against an attacker who knows it, {best.defense} holds best: the strongest attack fools {_told(row)}"
    if bare is None or bare.knowing is None:
        return f"{sentence}{_cost(best)}."
    if row["gfr_low"] > bare.knowing["gfr_high"]:
        alone = f"the network alone is fooled at {_told(bare.knowing)}"
        return f"No defense holds: {alone}, behind {best.defense}, the best of them, at {_told(row)}{_cost(best)}."
    clear = row["gfr_high"] < bare.knowing["gfr_low"]
    gain = "" if clear else " That is no clear gain: the two intervals overlap."
    return f"{sentence} (without a defense {_told(bare.knowing)}){_cost(best)}.{gain}"


def _worth(name: str, rows: Sequence[Row]) -> Worth:
    finished = [row for row in rows if row.ok]
    whole = {_attacker(row, row["attack"]) for row in finished}
    attacks = [  # no single seeds or ensemble members: the best of several is luck where the defense is random
        row for row in finished if not (row.of_one_seed or _attacker(row, row.ensemble) in whole)
    ]
    return Worth(
        defense=name,
        bare=rows[0].bare,
        knowing=_strongest([row for row in attacks if row.knows]),
        oblivious=_strongest([row for row in attacks if not row.knows]),
        clean=next((row for row in finished if row["clean"] is not None), None),
        masked=_masked([row for row in attacks if row.knows]),
    )


def _masked(knowing: Sequence[Row]) -> list[str]:
    """Return the flags by which the strongest knowing attack was misled; weaker ones found no more than it."""
    row = _strongest(knowing)
    return [] if row is None else list(filter(leads_astray, row.flags))


def _attacker(row: Row, name: str | None) -> tuple[Any, ...]:
    """Return what identifies the attack `name` in the setting of a row."""
    return name, *(row[column] for column in ("source_model", "knowledge", "source_defense", "norm", "eps", "metric"))


def _strongest(rows: Sequence[Row]) -> Row | None:
    """Return the first row with the highest fooling rate, or None."""
    return max(rows, key=_rate, default=None)


def _rate(row: Row | None) -> float:
    return 101.0 if row is None else float(row["gfr"])


def _told(row: Row) -> str:
    return f"{row['gfr']:.1f}% [{row['gfr_low']:.0f}{UNBROKEN}{row['gfr_high']:.0f}]"


def _cost(worth: Worth) -> str:
    row = worth.clean
    if row is None or row["clean_drop"] is None:
        return ""
    drop = f"{row['clean_drop']:.{row.digits('clean_drop')[0]}f}"
    if row["unit"] == "error":
        return f", and its clean {row['metric']} is " + (f"{drop} larger" if row["clean_drop"] > 0 else "no larger")
    return (
        f", and it costs {drop} points of clean accuracy" if row["clean_drop"] > 0 else ", at no loss of clean accuracy"
    )
