"""The crash-safe record of finished work: one SQLite file, one row per cell and image.

Only the driver writes it. A shard's rows come in one transaction, so a shard is wholly in it or not, and killing the
process at any moment loses at most the shard in flight.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ...core.errors import OutputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS scores (
    cell TEXT, sample INTEGER, metric TEXT,
    clean REAL, gfr REAL NOT NULL CHECK (gfr BETWEEN 0 AND 1),
    floor REAL NOT NULL CHECK (floor BETWEEN 0 AND 1), robust REAL,
    linf REAL NOT NULL, l2 REAL NOT NULL, forwards REAL NOT NULL, backwards REAL NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (cell, sample, metric)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS crafting (job TEXT PRIMARY KEY, forwards REAL, backwards REAL, seconds REAL);
CREATE TABLE IF NOT EXISTS errors (cell TEXT PRIMARY KEY, message TEXT);
CREATE TABLE IF NOT EXISTS glimpses (data TEXT PRIMARY KEY, glimpse TEXT);
CREATE TABLE IF NOT EXISTS learned (system TEXT PRIMARY KEY, defense TEXT);
CREATE TABLE IF NOT EXISTS behaviours (model TEXT, id TEXT, answers BLOB, PRIMARY KEY (model, id));
CREATE TABLE IF NOT EXISTS flags (cell TEXT, flag TEXT, PRIMARY KEY (cell, flag));
"""


class Score(NamedTuple):
    """One image in one cell. `clean`, `robust` in units of the metric, NaN without a label; `gfr`, `floor` in 0..1;
    costs of crafting.
    """

    sample: int
    metric: str
    clean: float
    gfr: float
    floor: float
    robust: float
    linf: float
    l2: float
    forwards: float
    backwards: float
    seconds: float


class Costs(NamedTuple):
    """What crafting took: images forward, gradients back, seconds."""

    forwards: float = 0.0
    backwards: float = 0.0
    seconds: float = 0.0


class Ledger:
    """Opens or creates the file. Raises OutputError where it cannot be written, or is no ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OutputError(f"Expected a writable ledger at {path}, but: {error}; choose another --out.") from None

    def close(self) -> None:
        self._connection.close()

    def write(self, cell: str, scores: Sequence[Score], flags: Iterable[str] = ()) -> None:
        """Add a shard and what makes it doubtful, and forget an error that an earlier run met in this cell."""
        marks = ", ".join("?" * (1 + len(Score._fields)))
        with self._transaction() as transaction:
            rows = [(cell, *score) for score in scores]
            transaction.executemany(f"INSERT OR REPLACE INTO scores VALUES ({marks})", rows)
            transaction.executemany("INSERT OR REPLACE INTO flags VALUES (?, ?)", [(cell, flag) for flag in flags])
            transaction.execute("DELETE FROM errors WHERE cell = ?", (cell,))

    def write_error(self, cell: str, message: str) -> None:
        with self._transaction() as transaction:
            transaction.execute("INSERT OR REPLACE INTO errors VALUES (?, ?)", (cell, message))

    def write_costs(self, job: str, costs: Costs) -> None:
        with self._transaction() as transaction:
            transaction.execute("INSERT OR REPLACE INTO crafting VALUES (?, ?, ?, ?)", (job, *costs))

    def write_learned(self, system: str, defense: str) -> None:
        with self._transaction() as transaction:
            transaction.execute("INSERT OR REPLACE INTO learned VALUES (?, ?)", (system, defense))

    def write_behaviour(self, model: str, name: str, answers: bytes) -> None:
        with self._transaction() as transaction:
            transaction.execute("INSERT INTO behaviours VALUES (?, ?, ?)", (model, name, answers))

    def write_glimpse(self, data: str, glimpse: str) -> None:
        with self._transaction() as transaction:
            transaction.execute("INSERT OR REPLACE INTO glimpses VALUES (?, ?)", (data, glimpse))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises OutputError where the disk is full or the file is locked."""
        try:
            with self._connection:
                yield self._connection
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # a score that is no number: the fault of what is written, not of the ledger
        except sqlite3.Error as error:
            raise OutputError(f"The ledger {self._path} cannot be written: {error}.") from None

    def finished(self, cell: str) -> set[int]:
        """The samples that are scored."""
        return {row[0] for row in self._read("SELECT DISTINCT sample FROM scores WHERE cell = ?", cell)}

    def scores(self, cell: str, metric: str, samples: Collection[int]) -> pd.DataFrame:
        """One row per image of `samples` that is scored, columns as in `Score`, ordered by sample."""
        columns = ", ".join(Score._fields)
        query = f"SELECT {columns} FROM scores WHERE cell = ? AND metric = ? ORDER BY sample"
        wanted = set(samples)
        rows = [row for row in self._read(query, cell, metric) if row[0] in wanted]
        found = pd.DataFrame(rows, columns=list(Score._fields))
        try:
            return found.astype(dict.fromkeys(Score._fields[2:], float))
        except ValueError as error:
            raise OutputError(f"The ledger {self._path} is damaged: {error}; choose another --out.") from None

    def costs(self, job: str) -> Costs | None:
        """Of crafting a universal perturbation; those of an image attack stand at its images."""
        found = self._read("SELECT forwards, backwards, seconds FROM crafting WHERE job = ?", job)
        return Costs(*found[0]) if found else None

    def error(self, cell: str) -> str | None:
        found = self._read("SELECT message FROM errors WHERE cell = ?", cell)
        return found[0][0] if found else None

    def learned(self, system: str) -> str | None:
        """The defense of a system, with the hash of what it had learned, when it was first scored."""
        found = self._read("SELECT defense FROM learned WHERE system = ?", system)
        return found[0][0] if found else None

    def behaviours(self, model: str) -> dict[str, bytes]:
        """What networks with this hash have answered so far, by the id of each."""
        return dict(self._read("SELECT id, answers FROM behaviours WHERE model = ?", model))

    def glimpse(self, data: str) -> str | None:
        """How some of the images of that fingerprint looked when they were first scored."""
        found = self._read("SELECT glimpse FROM glimpses WHERE data = ?", data)
        return found[0][0] if found else None

    def flags(self, cell: str) -> set[str]:
        return {row[0] for row in self._read("SELECT flag FROM flags WHERE cell = ?", cell)}

    def _read(self, query: str, *parameters: str | int) -> list[tuple[Any, ...]]:
        """Raises OutputError where the file is damaged, or a ledger of another version."""
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise OutputError(f"The ledger {self._path} cannot be read: {error}; choose another --out.") from None
