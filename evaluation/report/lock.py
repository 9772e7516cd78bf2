"""One writer to a folder: two runs at once would each overwrite what the other says about itself."""

from pathlib import Path

from filelock import FileLock, Timeout

from ...core.errors import OutputError
from ..engine.cache.exclusive import acquired

NAME = ".lock"


def lock(folder: Path) -> FileLock:
    """Held until it is released, or the process ends in whatever way. Raises OutputError where another one holds it."""
    try:
        return acquired(folder, NAME, timeout=0)
    except Timeout:
        raise OutputError(f"Another run is writing to {folder}: wait until it ends, or choose another --out.") from None
