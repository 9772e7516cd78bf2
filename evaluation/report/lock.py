"""The lock of a result folder: two runs that write to it at once would overwrite each other's manifest and tables."""

from pathlib import Path

from filelock import FileLock, Timeout

from ...core.errors import OutputError
from ..engine.cache.exclusive import acquired

NAME = ".lock"


def lock(folder: Path) -> FileLock:
    """Lock a folder until the lock is released or the process ends. Raises OutputError if another process holds it."""
    try:
        return acquired(folder, NAME, timeout=0)
    except Timeout:
        raise OutputError(f"Another run is writing to {folder}: wait until it ends, or choose another --out.") from None
