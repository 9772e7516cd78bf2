"""What several processes may want at once is made by one of them, while the others wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ...core.errors import OutputError

LOCKS = ".locks"
"""The folder of the empty files that are locked. A lock ends with its process, in whatever way that ends."""


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """Meanwhile no other process is in here for the same name in this folder.

    Whoever gets in looks whether the work is done by now. Raises OutputError where nothing can be locked.
    """
    path = folder / LOCKS / f"{name}.lock"
    held = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except (OSError, NotImplementedError) as error:  # the latter on file systems without locks
        raise OutputError(f"Expected a folder that can be written to and locked, got {folder}: {error}.") from None
    try:
        yield
    finally:
        held.release()
