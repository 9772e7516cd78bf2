"""Locks between processes: one computes what several need, while the others wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ....core.errors import OutputError

LOCKS = ".locks"
"""The folder of the empty files that are locked. A lock ends with its process, however that ends."""


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """Context manager: wait until no other process is in it for the same folder and name, and keep others out.

    A process that gets in should check whether the work has been done meanwhile. Raises OutputError if nothing can be
    locked.
    """
    held = acquired(folder, f"{LOCKS}/{name}.lock")
    try:
        yield
    finally:
        held.release()


def acquired(folder: Path, name: str, timeout: float = -1) -> FileLock:
    """Return a lock on a file in a folder, acquired, which the caller releases.

    Raises filelock's Timeout after `timeout` seconds, by default never, and OutputError if nothing can be locked.
    """
    held = FileLock(folder / name)
    try:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:  # the latter: the file system has no locks
        raise OutputError(f"Expected a folder that can be written to and locked, got {folder}: {error}.") from None
    return held
