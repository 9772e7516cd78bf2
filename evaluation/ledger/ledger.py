"""The crash-safe record of finished work: one SQLite file, one compact record per cell and shard.

Only the driver writes it. A shard's record comes in one transaction, so a shard is wholly in it or not, and killing the
process at any moment loses at most the shard in flight. Every record and every fact has a checksum: one that is damaged
costs its own cell, which the next run makes anew. The file stays the same for all who have it open; `restore` gives a
damaged one another before that.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .record import Outcomes, merged
from .store import DamagedRecordError, Store

_ERROR, _COSTS, _LEARNED, _GLIMPSE, _BEHAVIOUR = "error", "costs", "learned", "glimpse", "behaviour"
_DOUBTS = "doubts"


class Costs(NamedTuple):
    """What crafting took: images forward, gradients back, seconds."""

    forwards: float = 0.0
    backwards: float = 0.0
    seconds: float = 0.0


class Ledger:
    """Opens or creates the file; `read_only` opens what is there. Raises OutputError where it is no ledger."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._store = Store(path, read_only=read_only)

    def close(self) -> None:
        self._store.close()

    def write(self, cell: str, outcomes: Outcomes) -> None:
        """Add a shard, and forget an error that an earlier run met in this cell."""
        with self._store.transaction() as transaction:
            self._insert(transaction, cell, outcomes)
            transaction.execute("DELETE FROM facts WHERE kind = ? AND name = ?", (_ERROR, cell))

    def mend(self, cell: str) -> None:
        """Drop what is damaged of a cell, so that it can be made anew, and make one record of many.

        One record of many images takes less room than many of few, and far less time to read.
        """
        with self._store.transaction() as transaction:
            intact, damaged = self._records(cell)
            if len(intact) <= 1 and not damaged:
                return
            transaction.execute("DELETE FROM records WHERE cell = ?", (cell,))
            if intact:
                self._insert(transaction, cell, _together(intact))

    def repair(self, cell: str) -> None:
        """Only drop what is damaged of a cell: of one without damage other processes may be writing."""
        if self._records(cell)[1]:
            self.mend(cell)

    def forget(self, cell: str) -> None:
        """Drop all outcomes of a cell."""
        with self._store.transaction() as transaction:
            transaction.execute("DELETE FROM records WHERE cell = ?", (cell,))

    def write_error(self, cell: str, message: str) -> None:
        self._write_fact(_ERROR, cell, message)

    def write_costs(self, job: str, costs: Costs, perturbation: str) -> None:
        """Of a universal attack, with the hash of what it found."""
        self._write_fact(_COSTS, job, json.dumps([*costs, perturbation]))

    def write_learned(self, system: str, defense: str) -> None:
        self._write_fact(_LEARNED, system, defense)

    def write_glimpse(self, data: str, glimpse: str) -> None:
        self._write_fact(_GLIMPSE, data, glimpse)

    def lacks_learned(self, system: str) -> bool:
        """Whether `learned` was known of a system, and is damaged."""
        return self._is_lost(_LEARNED, system)

    def lacks_glimpse(self, data: str) -> bool:
        """Whether a `glimpse` of the data was known, and is damaged."""
        return self._is_lost(_GLIMPSE, data)

    def forget_learned(self, system: str) -> None:
        self._forget_fact(_LEARNED, system)

    def forget_glimpse(self, data: str) -> None:
        self._forget_fact(_GLIMPSE, data)

    def write_doubts(self, look: str, flags: Iterable[str], judged: str) -> None:
        """`judged` names how they were found."""
        self._write_fact(_DOUBTS, look, json.dumps([judged, *sorted(flags)]))

    def write_behaviour(self, model: str, name: str, answers: bytes) -> None:
        self._write_fact(_BEHAVIOUR, f"{model} {name}", answers.hex())

    def take_over(self, other: "Ledger") -> None:
        """What another ledger remembers of networks, data and defenses, to be held to it; of its scores nothing."""
        known = other._store.read(
            "SELECT kind, name FROM facts WHERE kind IN (?, ?, ?)", _BEHAVIOUR, _GLIMPSE, _LEARNED
        )
        for row in known:
            kind, name = (part.decode(errors="replace") if isinstance(part, bytes) else "" for part in row)
            with suppress(DamagedRecordError):
                self._write_fact(kind, name, other._fact(kind, name) or "")

    def outcomes(self, cell: str) -> Outcomes | None:
        """All that is known of a cell. Raises DamagedRecordError where a part of it is not what was written."""
        intact, damaged = self._records(cell)
        if damaged:
            raise DamagedRecordError(f"A record of this cell in {self._store.path} is damaged; run the recipe again.")
        return _together(intact) if intact else None

    def finished(self, cell: str) -> set[int]:
        """The samples that are scored."""
        known = self.outcomes(cell)
        return set() if known is None else set(known.samples.tolist())

    def costs(self, job: str) -> Costs | None:
        """Of crafting a universal perturbation, where they are known; those of an image attack stand at its images."""
        try:
            found = self._fact(_COSTS, job)
        except DamagedRecordError:
            return None
        return None if found is None else Costs(*json.loads(found)[:3])

    def perturbation(self, job: str) -> str | None:
        """The hash of what a universal attack found, where it is known."""
        try:
            found = json.loads(self._fact(_COSTS, job) or "[]")
        except DamagedRecordError:
            return None
        return found[3] if len(found) > 3 else None  # earlier versions kept the costs alone

    def error(self, cell: str) -> str | None:
        try:
            return self._fact(_ERROR, cell)
        except DamagedRecordError as damage:
            return str(damage)

    def learned(self, system: str) -> str | None:
        """The defense of a system, with the hash of what it had learned, when it was first scored.

        Raises DamagedRecordError where that cannot be known any more.
        """
        return self._fact(_LEARNED, system)

    def glimpse(self, data: str) -> str | None:
        """How some of the images of that fingerprint looked when they were first scored.

        Raises DamagedRecordError where that cannot be known any more.
        """
        return self._fact(_GLIMPSE, data)

    def doubts(self, look: str, judged: str | None = None) -> set[str] | None:
        """The flags that came of looking at a network; None where nobody did, or where they were `judged` otherwise.

        Raises DamagedRecordError where that cannot be known any more.
        """
        found = self._fact(_DOUBTS, look)
        if found is None:
            return None
        by, *flags = json.loads(found)
        return None if judged not in (None, by) else set(flags)

    def behaviours(self, model: str) -> dict[str, bytes]:
        """What networks with this hash have answered so far, by the id of each; one that is damaged is none."""
        found = {}
        for (name,) in self._store.read("SELECT name FROM facts WHERE kind = ? ORDER BY id", _BEHAVIOUR):
            whole = name.decode(errors="replace") if isinstance(name, bytes) else ""
            if whole.startswith(f"{model} "):
                with suppress(DamagedRecordError):
                    found[whole.removeprefix(f"{model} ")] = bytes.fromhex(self._fact(_BEHAVIOUR, whole) or "")
        return found

    def _insert(self, transaction: sqlite3.Connection, cell: str, outcomes: Outcomes) -> None:
        record = outcomes.encode()
        insert = "INSERT INTO records (cell, record, checksum) VALUES (?, ?, ?)"
        transaction.execute(insert, (cell, record, _checksum(cell, record)))

    def _write_fact(self, kind: str, name: str, value: str) -> None:
        checksum = _checksum(kind, name, value.encode())
        with self._store.transaction() as transaction:
            insert = "INSERT OR REPLACE INTO facts (kind, name, value, checksum) VALUES (?, ?, ?, ?)"
            transaction.execute(insert, (kind, name, value, checksum))

    def _fact(self, kind: str, name: str) -> str | None:
        found = self._store.read("SELECT value, checksum FROM facts WHERE kind = ? AND name = ?", kind, name)
        if not found:
            return None
        value, checksum = found[0]
        if not isinstance(value, bytes) or _checksum(kind, name, value) != checksum:
            raise DamagedRecordError(
                f"The ledger {self._store.path} has a damaged record ({kind}); run the recipe again."
            )
        return value.decode()

    def _is_lost(self, kind: str, name: str) -> bool:
        """Whether a fact is damaged."""
        with suppress(DamagedRecordError):
            self._fact(kind, name)
            return False
        return True

    def _forget_fact(self, kind: str, name: str) -> None:
        with self._store.transaction() as transaction:
            transaction.execute("DELETE FROM facts WHERE kind = ? AND name = ?", (kind, name))

    def _records(self, cell: str) -> tuple[list[bytes], bool]:
        """What can be read of a cell, and whether there is more, which is damaged."""
        try:
            rows = self._store.read("SELECT record, checksum FROM records WHERE cell = ? ORDER BY id", cell)
        except DamagedRecordError:
            return [], True
        intact = [
            record for record, checksum in rows if isinstance(record, bytes) and _checksum(cell, record) == checksum
        ]
        return intact, len(intact) < len(rows)


def _checksum(*parts: str | bytes) -> bytes:
    """Of a record together with the names under which it lies."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8))
        digest.update(content)
    return digest.digest()


def _together(records: Sequence[bytes]) -> Outcomes:
    parts = [Outcomes.decode(record) for record in records]
    return merged(parts) if len(parts) > 1 else parts[0]
