"""The crash-safe record of finished work: one SQLite file, one compact record per cell and shard.

Only the driver writes it. A shard's record comes in one transaction, so a shard is wholly in it or not, and killing the
process at any moment loses at most the shard in flight. Every record and every note has a checksum: one that is damaged
costs its own cell, which the next run makes anew. The file stays the same for all who have it open; `restore` gives a
damaged one another before that.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .notes import Notes
from .record import Outcomes, merged
from .store import DamagedRecordError, Store, checksum

_ERROR, _COSTS, _LEARNED, _GLIMPSE, _BEHAVIOUR = "error", "costs", "learned", "glimpse", "behaviour"
_DOUBTS, _MAKER, _MADE, _SCORED = "doubts", "maker", "made", "scored"

Maker = Mapping[str, Any]
"""The versions and the hardware of a process that has made something."""


class Costs(NamedTuple):
    """What crafting took: images forward, gradients back, seconds."""

    forwards: float = 0.0
    backwards: float = 0.0
    seconds: float = 0.0

    def plus(self, other: "Costs") -> "Costs":
        return Costs(*(one + more for one, more in zip(self, other, strict=True)))

    def since(self, before: "Costs") -> "Costs":
        return Costs(*(now - then for now, then in zip(self, before, strict=True)))


class Doubts(NamedTuple):
    """What the clean images say against a network: flags, or in a sentence why it is not to be attacked or scored."""

    flags: frozenset[str] = frozenset()
    refusal: str | None = None


class Ledger:
    """Opens or creates the file; `read_only` opens what is there. Raises OutputError where it is no ledger."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._store = Store(path, read_only=read_only)
        self._notes = Notes(self._store)

    def close(self) -> None:
        self._store.close()

    def write(self, cell: str, outcomes: Outcomes, by: Maker | None = None, perturbation: str | None = None) -> None:
        """Add a shard, with who has made it and the hash of the `perturbation` it is of, if it is of a universal one.

        An error that an earlier run met in this cell is forgotten.
        """
        with self._store.transaction() as transaction:
            self._insert(transaction, cell, outcomes)
            self._sign(transaction, cell, by)
            if perturbation is not None:
                self._notes.write(transaction, _SCORED, cell, perturbation)
            self._notes.forget(transaction, _ERROR, cell)

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
            else:
                self._unsign(transaction, cell)

    def repair(self, cell: str) -> None:
        """Only drop what is damaged of a cell: of one without damage other processes may be writing."""
        if self._records(cell)[1]:
            self.mend(cell)

    def forget(self, cell: str) -> None:
        """Drop all outcomes of a cell."""
        with self._store.transaction() as transaction:
            transaction.execute("DELETE FROM records WHERE cell = ?", (cell,))
            self._notes.forget(transaction, _SCORED, cell)
            self._unsign(transaction, cell)

    def write_error(self, cell: str, message: str) -> None:
        self._write(_ERROR, cell, message)

    def write_costs(self, job: str, costs: Costs, perturbation: str, by: Maker | None = None) -> None:
        """Of a universal attack, with the hash of what it found, and with who has searched."""
        with self._store.transaction() as transaction:
            self._notes.write(transaction, _COSTS, job, json.dumps([*costs, perturbation]))
            self._unsign(transaction, job)
            self._sign(transaction, job, by)

    def write_learned(self, system: str, defense: str) -> None:
        self._write(_LEARNED, system, defense)

    def write_glimpse(self, data: str, glimpse: str) -> None:
        self._write(_GLIMPSE, data, glimpse)

    def lacks_learned(self, system: str) -> bool:
        """Whether `learned` was known of a system, and is damaged."""
        return self._notes.is_lost(_LEARNED, system)

    def lacks_glimpse(self, data: str) -> bool:
        """Whether a `glimpse` of the data was known, and is damaged."""
        return self._notes.is_lost(_GLIMPSE, data)

    def forget_learned(self, system: str) -> None:
        self._forget(_LEARNED, system)

    def forget_glimpse(self, data: str) -> None:
        self._forget(_GLIMPSE, data)

    def write_doubts(self, look: str, doubts: Doubts, judged: str) -> None:
        """`judged` names how they were found."""
        told = {"judged": judged, "flags": sorted(doubts.flags), "refusal": doubts.refusal}
        self._write(_DOUBTS, look, json.dumps(told))

    def write_behaviour(self, model: str, name: str, answers: bytes) -> None:
        self._write(_BEHAVIOUR, f"{model} {name}", answers.hex())

    def take_over(self, other: "Ledger") -> None:
        """What another ledger remembers of networks, data and defenses, to be held to it; of its scores nothing."""
        for kind in (_BEHAVIOUR, _GLIMPSE, _LEARNED):
            for name, value in other._notes.intact(kind).items():
                self._write(kind, name, value)

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
            found = self._notes.find(_COSTS, job)
        except DamagedRecordError:
            return None
        return None if found is None else Costs(*json.loads(found)[:3])

    def perturbation(self, job: str) -> str | None:
        """The hash of what a universal attack found, where it is known."""
        try:
            found = self._notes.find(_COSTS, job)
        except DamagedRecordError:
            return None
        return None if found is None else json.loads(found)[3]

    def is_of_another(self, cell: str, job: str) -> bool:
        """Whether a cell was not scored with the perturbation that its job has found, as far as anybody knows."""
        try:
            return self._notes.find(_SCORED, cell) != self.perturbation(job)
        except DamagedRecordError:
            return True

    def error(self, cell: str) -> str | None:
        try:
            return self._notes.find(_ERROR, cell)
        except DamagedRecordError as damage:
            return str(damage)

    def learned(self, system: str) -> str | None:
        """The defense of a system, with the hash of what it had learned, when it was first scored.

        Raises DamagedRecordError where that cannot be known any more.
        """
        return self._notes.find(_LEARNED, system)

    def glimpse(self, data: str) -> str | None:
        """How some of the images of that fingerprint looked when they were first scored.

        Raises DamagedRecordError where that cannot be known any more.
        """
        return self._notes.find(_GLIMPSE, data)

    def doubts(self, look: str, judged: str | None = None) -> Doubts | None:
        """What came of looking at a network; None where nobody did, or where it was `judged` otherwise.

        Raises DamagedRecordError where that cannot be known any more.
        """
        told = json.loads(self._notes.find(_DOUBTS, look) or "null")
        if told is None or judged not in (None, told["judged"]):
            return None
        return Doubts(frozenset(told["flags"]), told["refusal"])

    def behaviours(self, model: str) -> dict[str, bytes]:
        """What networks with this hash have answered so far, by the id of each; one that is damaged is none."""
        known = self._notes.intact(_BEHAVIOUR)
        prefix = f"{model} "
        return {name.removeprefix(prefix): bytes.fromhex(known[name]) for name in known if name.startswith(prefix)}

    def makers(self) -> dict[str, list[Maker]]:
        """Of cells, and of jobs whose perturbation was searched: who had a part in it, as far as that is known."""
        known = {name: json.loads(value) for name, value in self._notes.intact(_MAKER).items()}
        found: dict[str, list[Maker]] = {}
        for name in self._notes.intact(_MADE):
            made, _, maker = name.partition(" ")
            if maker in known:
                found.setdefault(made, []).append(known[maker])
        return found

    def _insert(self, transaction: sqlite3.Connection, cell: str, outcomes: Outcomes) -> None:
        record = outcomes.encode()
        insert = "INSERT INTO records (cell, record, checksum) VALUES (?, ?, ?)"
        transaction.execute(insert, (cell, record, checksum(cell, record)))

    def _sign(self, transaction: sqlite3.Connection, made: str, by: Maker | None) -> None:
        if by is None:
            return
        told = json.dumps(by, sort_keys=True)
        maker = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._notes.write(transaction, _MAKER, maker, told)
        self._notes.write(transaction, _MADE, f"{made} {maker}", "")

    def _unsign(self, transaction: sqlite3.Connection, made: str) -> None:
        for name in self._notes.intact(_MADE):
            if name.startswith(f"{made} "):
                self._notes.forget(transaction, _MADE, name)

    def _write(self, kind: str, name: str, value: str) -> None:
        with self._store.transaction() as transaction:
            self._notes.write(transaction, kind, name, value)

    def _forget(self, kind: str, name: str) -> None:
        with self._store.transaction() as transaction:
            self._notes.forget(transaction, kind, name)

    def _records(self, cell: str) -> tuple[list[bytes], bool]:
        """What can be read of a cell, and whether there is more, which is damaged."""
        try:
            rows = self._store.read("SELECT record, checksum FROM records WHERE cell = ? ORDER BY id", cell)
        except DamagedRecordError:
            return [], True
        intact = [record for record, known in rows if isinstance(record, bytes) and checksum(cell, record) == known]
        return intact, len(intact) < len(rows)


def _together(records: Sequence[bytes]) -> Outcomes:
    parts = [Outcomes.decode(record) for record in records]
    return merged(parts) if len(parts) > 1 else parts[0]
