"""Repair a damaged ledger before a run starts; the file is replaced, so no other process may have it open."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, count
from pathlib import Path
from typing import Literal

from ...core.errors import OutputError
from .database import PATIENCE, SCHEMA, hides_its_tables, is_damage, recognise

_HIGHEST = 2**63 - 1
_LOST = 10_000
"""The number of consecutive unreadable ids after which the search for further rows ends."""


def restore(path: Path) -> str | None:
    """Replace a ledger with damaged pages or indices by one with every row that can still be read.

    A file with a damaged first page, in which nothing can be found, is renamed, and a message that says so is returned;
    otherwise None is. Raises OutputError if the file is no ledger, or cannot be read or written.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    recognise(path)
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            hidden = hides_its_tables(connection)
            if not hidden and _is_whole(connection):
                return None
            if not hidden:
                _copy_readable(connection, _temporary(path))
        _remove_journal(path)
        if hidden:
            return f"The ledger {path} is damaged: a new one is begun, and the old one is kept as {_aside(path)}."
        _temporary(path).replace(path)
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"The ledger {path} cannot be read or mended: {error}.") from None
    finally:
        _temporary(path).unlink(missing_ok=True)
    return None


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _aside(path: Path) -> Path:
    """Rename a damaged file to a name that is free, and return it."""
    names = (f"{path.name}.damaged{number}" for number in chain([""], (f".{again}" for again in count(2))))
    place = next(place for place in map(path.with_name, names) if not place.exists())
    path.rename(place)
    return place


def _remove_journal(path: Path) -> None:
    for journal in ("-wal", "-shm"):
        path.with_name(path.name + journal).unlink(missing_ok=True)


def _is_whole(connection: sqlite3.Connection) -> bool:
    try:
        return connection.execute("PRAGMA integrity_check(1)").fetchall() in ([("ok",)], [(b"ok",)])
    except sqlite3.Error as error:
        if is_damage(error):
            return False
        raise


def _copy_readable(damaged: sqlite3.Connection, path: Path) -> None:
    damaged.text_factory = lambda text: text.decode(errors="replace")  # bytes would be stored as a BLOB
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = MEMORY")  # no journal file that a full disk would leave behind
        copy.executescript(SCHEMA)
        with copy:
            for table, columns in (("records", "cell, record, checksum"), ("facts", "kind, name, value, checksum")):
                marks = ", ".join("?" * len(columns.split(", ")))
                insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
                copy.executemany(insert, _readable(damaged, table, columns))


def _readable(connection: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[object, ...]]:
    for number in sorted(_ids(connection, table, 1) | _ids(connection, table, -1)):
        try:
            row = connection.execute(f"SELECT {columns} FROM {table} WHERE id = ?", (number,)).fetchone()
        except sqlite3.Error:
            continue
        if row and None not in row:
            yield row


def _ids(connection: sqlite3.Connection, table: str, step: Literal[1, -1]) -> set[int]:
    """Return the ids that are found in ascending (1) or descending (-1) order.

    Both are needed: a damaged id, read as another, may hide all ids that follow it in one direction.
    """
    beyond, number, order = (">", 0, "") if step == 1 else ("<", _HIGHEST, "DESC")
    query = f"SELECT id FROM {table} WHERE id {beyond} ? ORDER BY id {order} LIMIT 1"
    found, lost = set[int](), 0
    while lost < _LOST:
        try:
            row = connection.execute(query, (number,)).fetchone()
        except sqlite3.Error:
            number, lost = number + step, lost + 1
            continue
        if row is None or row[0] in found:
            break
        number, lost = row[0], 0
        found.add(number)
    return found
