"""What several processes may want at once is made by one of them, while the others wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ....core.errors import OutputError

LOCKS = ".locks"
"""The folder of the empty files that are locked. A lock ends with its process, in whatever way that ends."""


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """Meanwhile no other process is in here for the same name in this folder.

    Whoever gets in looks whether the work is done by now. Raises OutputError where nothing can be locked.
    """
    held = acquired(folder, f"{LOCKS}/{name}.lock")
    try:
        yield
    finally:
        held.release()


def acquired(folder: Path, name: str, timeout: float = -1) -> FileLock:
    """A lock in a folder, to be released; after so many seconds filelock's Timeout, by default never.

    Raises OutputError where nothing can be locked.
    """
    held = FileLock(folder / name)
    try:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:  # the latter is filelock's word for file systems without locks
        raise OutputError(f"Expected a folder that can be written to and locked, got {folder}: {error}.") from None
    return held
