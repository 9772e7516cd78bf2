"""Files that are whole or not there: a killed process or a full disk leaves the old one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError


def is_file(path: Path) -> bool:
    """As Path's, for any text that was given: also for what can be no path at all, too long or with a null byte."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """The same of a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def writable_folder(folder: Path) -> Path:
    """Make the folder where it is missing. Raises OutputError where that, or writing into it, is not possible."""
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
    """Delete what a killed process had not finished to write in a folder or below it; nobody may be writing there."""
    for path in folder.rglob(".*.[0-9]*.tmp"):
        with suppress(OSError):  # it harms nobody
            path.unlink()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises OutputError where the disk does not take a file: nobody's attack or defense is to blame for that."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write through a temporary file in the same folder (made where it is missing), flushed before it takes the name.

    Raises OSError as `open` does.
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
