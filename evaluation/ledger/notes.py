"""Notes: short texts in the ledger, each identified by its kind and its name, with a checksum."""

import sqlite3

from .store import DamagedRecordError, Store, checksum


class Notes:
    """The notes of one ledger file; writing and deleting take part in a transaction of the caller."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, transaction: sqlite3.Connection, kind: str, name: str, value: str) -> None:
        known = checksum(kind, name, value.encode())
        insert = "INSERT INTO facts (kind, name, value, checksum) VALUES (?, ?, ?, ?)"
        instead = "ON CONFLICT DO UPDATE SET value = excluded.value, checksum = excluded.checksum"  # keeps the id
        transaction.execute(f"{insert} {instead}", (kind, name, value, known))

    def forget(self, transaction: sqlite3.Connection, kind: str, name: str) -> None:
        transaction.execute("DELETE FROM facts WHERE kind = ? AND name = ?", (kind, name))

    def find(self, kind: str, name: str) -> str | None:
        """Return a note, or None if there is none. Raises DamagedRecordError if it is damaged."""
        found = self._store.read("SELECT value, checksum FROM facts WHERE kind = ? AND name = ?", kind, name)
        if not found:
            return None
        value, known = found[0]
        if not isinstance(value, bytes) or checksum(kind, name, value) != known:
            raise DamagedRecordError(
                f"The ledger {self._store.path} has a damaged record ({kind}); run the recipe again."
            )
        return value.decode()

    def is_lost(self, kind: str, name: str) -> bool:
        """Return whether a note exists, but is damaged."""
        try:
            self.find(kind, name)
        except DamagedRecordError:
            return True
        return False

    def intact(self, kind: str) -> dict[str, str]:
        """Return the undamaged notes of a kind by name, in the order in which they were first written."""
        rows = self._store.read("SELECT name, value, checksum FROM facts WHERE kind = ? ORDER BY id", kind)
        return {
            name.decode(): value.decode()
            for name, value, known in rows
            if isinstance(name, bytes) and isinstance(value, bytes) and checksum(kind, name, value) == known
        }
