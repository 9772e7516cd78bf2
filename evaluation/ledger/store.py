"""The open file of a ledger: queries, transactions and checksums."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import FoolbenchError, OutputError
from .database import is_damage, open_to_read, open_to_write


class DamagedRecordError(FoolbenchError):
    """The error for a record or note of the ledger that does not match its checksum, or cannot be read."""


class Store:
    """An open ledger file, created if it is missing, unless `read_only`. Raises OutputError if it is no ledger."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._connection = (open_to_read if read_only else open_to_write)(path)

    def close(self) -> None:
        self._connection.close()

    def read(self, query: str, *parameters: str) -> list[tuple[object, ...]]:
        """Return all rows of a query. Raises DamagedRecordError for a damaged page, OutputError for another error."""
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            if is_damage(error):
                raise DamagedRecordError(f"{self.path} is damaged here: {error}; run the recipe again.") from None
            raise OutputError(f"The ledger {self.path} cannot be read: {error}; run the recipe again.") from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open an exclusive transaction, which an error undoes as a whole.

        Raises OutputError if the disk is full, or if the file is locked or damaged.
        """
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            advice = "; run the same command again, which keeps what can be read of it" if is_damage(error) else ""
            raise OutputError(f"The ledger {self.path} cannot be written: {error}{advice}.") from None


def checksum(*parts: str | bytes) -> bytes:
    """Return the checksum of a content together with the names under which it is stored."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8))
        digest.update(content)
    return digest.digest()
