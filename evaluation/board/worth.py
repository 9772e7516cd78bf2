"""What each defense is worth: the strongest attack on it, by what the attack knew, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.words import counted
from ..leaderboard.flags import leads_astray
from ..leaderboard.grouping import grouped
from .board import Row


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Of one system. `knowing` and `oblivious` are the rows of the strongest attack that knew it, and of the strongest
    that did not: of the bare network, which every attack knows, there is only the former. `clean` is a row that has the
    clean rate, if any has. `masked` are flags by which an attack that knew it was led astray.
    """

    defense: str
    bare: bool
    knowing: Row | None
    oblivious: Row | None
    clean: Row | None
    masked: Sequence[str]

    @property
    def strongest(self) -> Row | None:
        """Of all attacks: whoever knows the defense can also do what those do that don't."""
        return _strongest([row for row in (self.knowing, self.oblivious) if row is not None])


def worths(rows: Sequence[Row]) -> list[Worth]:
    """Of a part of a board, the best first: those that an attack knew, by how often the strongest fools them.

    Behind them those at which such an attack was led astray, and those that none has known, of which nobody can say how
    they stand; attacks from other networks, or through other defenses, count for what they are: they do not know the
    system.
    """
    found = [_worth(name, same) for name, same in grouped(rows, lambda row: row.defense).items()]
    return sorted(found, key=lambda worth: (worth.knowing is None, bool(worth.masked), _rate(worth.strongest)))


def verdict(found: Sequence[Worth]) -> str:
    """In words, for whoever reads one sentence; nothing where there is no defense, or none with numbers."""
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
    attacks = [  # behind a random defense the best of several seeds, or members, is luck, which what is for all has not
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
    """Flags of the strongest of those that knew: whatever else was tried found no more than it."""
    row = _strongest(knowing)
    return [] if row is None else list(filter(leads_astray, row.flags))


def _attacker(row: Row, name: str | None) -> tuple[Any, ...]:
    """An attack of that name with what else the row's has."""
    return name, *(row[column] for column in ("source_model", "knowledge", "source_defense", "norm", "eps", "metric"))


def _strongest(rows: Sequence[Row]) -> Row | None:
    """The first of those that fool most."""
    return max(rows, key=_rate, default=None)


def _rate(row: Row | None) -> float:
    return 101.0 if row is None else float(row["gfr"])


def _told(row: Row) -> str:
    return f"{row['gfr']:.1f}% [{row['gfr_low']:.0f}-{row['gfr_high']:.0f}]"


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
