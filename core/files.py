"""Atomic files, whole or not there: a killed process or a full disk leaves the old one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError


def is_file(path: Path) -> bool:
    """Return whether a path is a file; False also for text that can be no path, too long or with a null byte."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False also for text that can be no path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def writable_folder(folder: Path) -> Path:
    """Return the folder, made if missing. Raises OutputError if it cannot be made or written to."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"Expected a folder that can be written to, got {folder}: {error.strerror}.") from None
    except ValueError as error:  # a null byte
        raise OutputError(f"Expected a folder that can be written to, got {str(folder)!r}: {error}.") from None
    return folder


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder or below; nobody may be writing there."""
    for path in folder.rglob(".*.[0-9]*.tmp"):
        with suppress(OSError):  # a leftover does no harm
            path.unlink()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context manager: raise OutputError for an OSError, as no attack or defense is to blame for the disk."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically, through a temporary file in the same folder that is flushed to disk and renamed.

    The folder is made if missing. Raises OSError as `open` does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
