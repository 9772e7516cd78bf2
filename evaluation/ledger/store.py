"""The ledger's file while it is open: what is asked of it and written to it."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import FoolbenchError, OutputError
from .database import is_damage, open_to_read, open_to_write


class DamagedRecordError(FoolbenchError):
    """Something in the ledger is not what was written."""


class Store:
    """Opens or creates the file; `read_only` opens what is there. Raises OutputError where it is no ledger."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._connection = (open_to_read if read_only else open_to_write)(path)

    def close(self) -> None:
        self._connection.close()

    def read(self, query: str, *parameters: str) -> list[tuple[object, ...]]:
        """All rows. Raises DamagedRecordError where a page is damaged, OutputError where it cannot be read at all."""
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            if is_damage(error):
                raise DamagedRecordError(f"{self.path} is damaged here: {error}; run the recipe again.") from None
            raise OutputError(f"The ledger {self.path} cannot be read: {error}; run the recipe again.") from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else writes meanwhile. Raises OutputError where the disk is full or the file is
        locked or damaged.
        """
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            advice = "; run the same command again, which keeps what can be read of it" if is_damage(error) else ""
            raise OutputError(f"The ledger {self.path} cannot be written: {error}{advice}.") from None


def checksum(*parts: str | bytes) -> bytes:
    """Of what lies there together with the names under which it lies."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8))
        digest.update(content)
    return digest.digest()
