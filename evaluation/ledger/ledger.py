"""The crash-safe record of finished work: one SQLite file, with one compact record per cell and shard.

Only the driver writes it. A shard's record is written in one transaction, so a process that is killed loses at most the
shard in progress. Every record and every note has a checksum: damage costs only the cell concerned, which the next run
computes again. The file is never replaced while a process has it open; `restore` replaces a damaged one before that.
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
"""The versions and the hardware of a process that has computed scores or perturbations."""


class Costs(NamedTuple):
    """The cost of crafting: images sent forward, gradients computed, and seconds."""

    forwards: float = 0.0
    backwards: float = 0.0
    seconds: float = 0.0

    def plus(self, other: "Costs") -> "Costs":
        return Costs(*(one + more for one, more in zip(self, other, strict=True)))

    def since(self, before: "Costs") -> "Costs":
        return Costs(*(now - then for now, then in zip(self, before, strict=True)))


class Doubts(NamedTuple):
    """Problems of a network that clean images reveal: flags, or a sentence on why it must not be attacked or scored."""

    flags: frozenset[str] = frozenset()
    refusal: str | None = None


class Ledger:
    """The ledger of a run; the file is created if it is missing, unless it is opened `read_only`.

    Raises OutputError if the file is no ledger, or cannot be opened. Methods that write raise OutputError if they
    cannot.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._store = Store(path, read_only=read_only)
        self._notes = Notes(self._store)

    def close(self) -> None:
        self._store.close()

    def write(self, cell: str, outcomes: Outcomes, by: Maker | None = None, perturbation: str | None = None) -> None:
        """Add the outcomes of a shard, with their maker and, for a universal attack, the hash of its perturbation.

        This removes the error that an earlier run recorded for the cell.
        """
        with self._store.transaction() as transaction:
            self._insert(transaction, cell, outcomes)
            self._sign(transaction, cell, by)
            if perturbation is not None:
                self._notes.write(transaction, _SCORED, cell, perturbation)
            self._notes.forget(transaction, _ERROR, cell)

    def mend(self, cell: str) -> None:
        """Drop the damaged records of a cell, so that they are computed again, and merge the others into one.

        One record of many images takes less space than many of few, and far less time to read.
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
        """Drop the damaged records of a cell; without damage leave it alone, since other processes may write to it."""
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
        """Record the costs of a universal attack's job, the hash of its perturbation, and its maker."""
        with self._store.transaction() as transaction:
            self._notes.write(transaction, _COSTS, job, json.dumps([*costs, perturbation]))
            self._unsign(transaction, job)
            self._sign(transaction, job, by)

    def write_learned(self, system: str, defense: str) -> None:
        self._write(_LEARNED, system, defense)

    def write_glimpse(self, data: str, glimpse: str) -> None:
        self._write(_GLIMPSE, data, glimpse)

    def lacks_learned(self, system: str) -> bool:
        """Return whether the note that `learned` reads exists for a system, but is damaged."""
        return self._notes.is_lost(_LEARNED, system)

    def lacks_glimpse(self, data: str) -> bool:
        """Return whether the note that `glimpse` reads exists for the data, but is damaged."""
        return self._notes.is_lost(_GLIMPSE, data)

    def forget_learned(self, system: str) -> None:
        self._forget(_LEARNED, system)

    def forget_glimpse(self, data: str) -> None:
        self._forget(_GLIMPSE, data)

    def write_doubts(self, look: str, doubts: Doubts, judged: str) -> None:
        """Record the doubts that a look at a network has found; `judged` names the method."""
        told = {"judged": judged, "flags": sorted(doubts.flags), "refusal": doubts.refusal}
        self._write(_DOUBTS, look, json.dumps(told))

    def write_behaviour(self, model: str, name: str, answers: bytes) -> None:
        self._write(_BEHAVIOUR, f"{model} {name}", answers.hex())

    def take_over(self, other: "Ledger") -> None:
        """Copy what another ledger records of networks, data and defenses, to compare them with it, but no scores."""
        for kind in (_BEHAVIOUR, _GLIMPSE, _LEARNED):
            for name, value in other._notes.intact(kind).items():
                self._write(kind, name, value)

    def outcomes(self, cell: str) -> Outcomes | None:
        """Return all outcomes of a cell, or None. Raises DamagedRecordError if a record of it is damaged."""
        intact, damaged = self._records(cell)
        if damaged:
            raise DamagedRecordError(f"A record of this cell in {self._store.path} is damaged; run the recipe again.")
        return _together(intact) if intact else None

    def finished(self, cell: str) -> set[int]:
        """Return the samples of a cell that are scored. Raises DamagedRecordError if a record of it is damaged."""
        known = self.outcomes(cell)
        return set() if known is None else set(known.samples.tolist())

    def costs(self, job: str) -> Costs | None:
        """Return the costs of crafting a universal perturbation, or None if they are not known.

        Those of an image attack are recorded with its images.
        """
        try:
            found = self._notes.find(_COSTS, job)
        except DamagedRecordError:
            return None
        return None if found is None else Costs(*json.loads(found)[:3])

    def perturbation(self, job: str) -> str | None:
        """Return the hash of the perturbation of a universal attack's job, or None if it is not known."""
        try:
            found = self._notes.find(_COSTS, job)
        except DamagedRecordError:
            return None
        return None if found is None else json.loads(found)[3]

    def is_of_another(self, cell: str, job: str) -> bool:
        """Return whether a cell was scored with another perturbation than its job has found, or may have been."""
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
        """Return a system's defense, with the hash of its learned tensors, as recorded when it was first scored.

        Returns None if nothing is recorded. Raises DamagedRecordError if the note is damaged.
        """
        return self._notes.find(_LEARNED, system)

    def glimpse(self, data: str) -> str | None:
        """Return the glimpse of the data with this fingerprint, thumbnails of some images as first scored.

        Returns None if nothing is recorded. Raises DamagedRecordError if the note is damaged.
        """
        return self._notes.find(_GLIMPSE, data)

    def doubts(self, look: str, judged: str | None = None) -> Doubts | None:
        """Return the doubts that a look at a network has found, or None without a look or by another method.

        Any method counts if `judged` is None. Raises DamagedRecordError if the note is damaged.
        """
        told = json.loads(self._notes.find(_DOUBTS, look) or "null")
        if told is None or judged not in (None, told["judged"]):
            return None
        return Doubts(frozenset(told["flags"]), told["refusal"])

    def behaviours(self, model: str) -> dict[str, bytes]:
        """Return the recorded outputs of networks with this hash, by the id of each, without damaged ones."""
        known = self._notes.intact(_BEHAVIOUR)
        prefix = f"{model} "
        return {name.removeprefix(prefix): bytes.fromhex(known[name]) for name in known if name.startswith(prefix)}

    def makers(self) -> dict[str, list[Maker]]:
        """Return the known makers of cells and of universal attacks' jobs, by the name of the cell or job."""
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
        """Return the intact records of a cell, and whether there are damaged ones, too."""
        try:
            rows = self._store.read("SELECT record, checksum FROM records WHERE cell = ? ORDER BY id", cell)
        except DamagedRecordError:
            return [], True
        intact = [record for record, known in rows if isinstance(record, bytes) and checksum(cell, record) == known]
        return intact, len(intact) < len(rows)


def _together(records: Sequence[bytes]) -> Outcomes:
    parts = [Outcomes.decode(record) for record in records]
    return merged(parts) if len(parts) > 1 else parts[0]
