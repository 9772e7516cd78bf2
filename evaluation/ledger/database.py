"""The SQLite file of a ledger: made, recognised before it is touched, opened to write or only to read, and rebuilt."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

from ...core.errors import OutputError

APPLICATION = int.from_bytes(b"fool")
VERSION = 3
"""Of the tables and records; a file of another one is refused."""
PATIENCE = 60.0
"""Seconds to wait for another process of the same run that is writing a record."""

_MAGIC = b"SQLite format 3\0"
_HIGHEST = 2**63 - 1
_LOST = 10_000
"""So many ids in a row that cannot be asked for: what lies beyond is lost."""
_SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE records (id INTEGER PRIMARY KEY, cell TEXT NOT NULL, record BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE INDEX records_of_cell ON records (cell);
CREATE TABLE facts (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    checksum BLOB NOT NULL, UNIQUE (kind, name));
COMMIT;
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """The file, made where there is none. Raises OutputError where it is something else, or cannot be written.

    One whose first page is damaged, so that nothing in it can be found, gives way to a new one, and stays beside it.
    """
    try:
        _recognise(path)
        with closing(sqlite3.connect(path)) as connection:
            hidden = _hides_its_tables(connection)
        if hidden:
            _without_journal(path)
            path.replace(path.with_name(f"{path.name}.damaged"))
        connection = sqlite3.connect(path, timeout=PATIENCE)
        try:
            if not _tables(connection):
                connection.executescript(_SCHEMA)
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"Expected a writable ledger at {path}, but: {error}; choose another --out.") from None
    return _plain(connection)


def open_to_read(path: Path) -> sqlite3.Connection:
    """The file as it is, which nothing changes, wherever it lies. Raises OutputError where there is no ledger.

    SQLite wants to write beside a file that a killed run has left with a journal: it is given a copy.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        _recognise(path)
        connection = _unchanged(path)
        if _hides_its_tables(connection):
            connection.close()
            raise OutputError(f"The ledger at {path} is damaged; run the recipe again.")
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"Expected the ledger of a run at {path}, but: {error}.") from None
    return _plain(connection)


def _unchanged(path: Path) -> sqlite3.Connection:
    journal = path.with_name(f"{path.name}-wal")
    if not journal.is_file() or not journal.stat().st_size:
        return sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in (path, journal):
            shutil.copyfile(file, Path(folder, file.name))
        with closing(sqlite3.connect(Path(folder, path.name))) as copy:
            connection = sqlite3.connect(":memory:")
            copy.backup(connection)
    return connection


def rebuild(damaged: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """A new file in the place of one whose pages are damaged, with every row that can still be read."""
    damaged.text_factory = lambda text: text.decode(errors="replace")  # as bytes it would be stored as bytes, too
    whole = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with closing(open_to_write(whole)) as copy, copy:
            for table, columns in (("records", "cell, record, checksum"), ("facts", "kind, name, value, checksum")):
                marks = ", ".join("?" * len(columns.split(", ")))
                insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
                copy.executemany(insert, _readable(damaged, table, columns))
        damaged.close()
        _without_journal(path)
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
    return open_to_write(path)


def _without_journal(path: Path) -> None:
    for journal in ("-wal", "-shm"):
        path.with_name(path.name + journal).unlink(missing_ok=True)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file's content that is to blame, and not the disk or another process."""
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CORRUPT_INDEX)


def _readable(connection: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[object, ...]]:
    for number in sorted(_ids(connection, table, 1) | _ids(connection, table, -1)):
        try:
            row = connection.execute(f"SELECT {columns} FROM {table} WHERE id = ?", (number,)).fetchone()
        except sqlite3.Error:
            continue
        if row and None not in row:
            yield row


def _ids(connection: sqlite3.Connection, table: str, step: Literal[1, -1]) -> set[int]:
    """Those that are met upwards, or downwards: a damaged one, taken for another, may hide all that come after it."""
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


def _hides_its_tables(connection: sqlite3.Connection) -> bool:
    """Whether what says where its tables are cannot be read, or says something else; a file without any hides none."""
    with closing(sqlite3.connect(":memory:")) as new:
        new.executescript(_SCHEMA)
        try:
            return _tables(connection) not in ([], _tables(new))
        except sqlite3.Error as error:
            if is_damage(error) or error.sqlite_errorcode in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB):
                return True
            raise


def _tables(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return _plain(connection).execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


def _recognise(path: Path) -> None:
    """Raise OutputError for a file that is no ledger, or one of another version, without opening it as a database."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(100)
    if not head:
        return  # a run that was killed as it began
    application, version = int.from_bytes(head[68:72]), int.from_bytes(head[60:64])
    if not head.startswith(_MAGIC) or application not in (0, APPLICATION):
        raise OutputError(f"Expected a ledger of foolbench at {path}, got another file; choose another --out.")
    if (application, version) != (APPLICATION, VERSION):
        raise OutputError(
            f"Expected a ledger of version {VERSION} at {path}, got one of another version of foolbench, or of another "
            "program; choose another --out."
        )


def _plain(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.text_factory = bytes  # a damaged text may be no UTF-8
    return connection
