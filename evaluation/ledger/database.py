"""The SQLite file of a ledger: create it, recognise it before it is touched, and open it to write or to read."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from ...core.errors import OutputError

APPLICATION = int.from_bytes(b"fool")
VERSION = 4
"""The version of the tables and records; a file of another version is refused."""
PATIENCE = 60.0
"""The seconds to wait for another process of the run that is writing."""

_MAGIC = b"SQLite format 3\0"
SCHEMA = f"""
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
    """Open a ledger to write, created if it is missing. Raises OutputError for another file, or if it cannot."""
    try:
        recognise(path)
        connection = sqlite3.connect(path, timeout=PATIENCE)
        try:
            _begin(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"Expected a writable ledger at {path}, but: {error}; choose another --out.") from None
    return _plain(connection)


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    if hides_its_tables(connection):
        raise _damaged(path)
    if not _tables(connection):
        connection.executescript(SCHEMA)
    connection.execute("PRAGMA journal_mode = WAL")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a ledger to read, without a change to the file or its folder. Raises OutputError if there is no ledger.

    SQLite would write beside a file that a killed run has left with a journal, so such a file is copied first.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        recognise(path)
        connection = _unchanged(path)
        if hides_its_tables(connection):
            connection.close()
            raise _damaged(path)
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


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error comes from damaged content of the file, and not from the disk or another process."""
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CORRUPT_INDEX)


def hides_its_tables(connection: sqlite3.Connection) -> bool:
    """Return whether the ledger's tables are missing from the schema, or the schema cannot be read.

    A file without any table counts as new. Further tables are allowed, such as SQLite's own of an ANALYZE, or a view.
    """
    with closing(sqlite3.connect(":memory:")) as new:
        new.executescript(SCHEMA)
        try:
            found = _tables(connection)
        except sqlite3.Error as error:
            if is_damage(error) or error.sqlite_errorcode in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB):
                return True
            raise
        return bool(found) and not _tables(new) <= found


def _tables(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    return set(_plain(connection).execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def recognise(path: Path) -> None:
    """Raise OutputError for a file that is no ledger, or one of another version, without opening it as a database."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(100)
    if not head:
        return  # left by a run that was killed at its start
    application, version = int.from_bytes(head[68:72]), int.from_bytes(head[60:64])
    if not head.startswith(_MAGIC) or application not in (0, APPLICATION):
        raise OutputError(f"Expected a ledger of foolbench at {path}, got another file; choose another --out.")
    if (application, version) != (APPLICATION, VERSION):
        raise OutputError(
            f"Expected a ledger of version {VERSION} at {path}, got one of another version of foolbench, or of another "
            "program; choose another --out."
        )


def _damaged(path: Path) -> OutputError:
    return OutputError(f"The ledger at {path} is damaged; run the recipe again.")


def _plain(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.text_factory = bytes  # a damaged text may not be valid UTF-8
    return connection
