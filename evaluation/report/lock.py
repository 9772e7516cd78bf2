"""One writer to a folder: two runs at once would each overwrite what the other says about itself."""

from pathlib import Path

from filelock import FileLock, Timeout

from ...core.errors import OutputError

NAME = ".lock"


def lock(folder: Path) -> FileLock:
    """Held until it is released, or the process ends in whatever way. Raises OutputError where another one holds it."""
    held = FileLock(folder / NAME)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"Another run is writing to {folder}: wait until it ends, or choose another --out.") from None
    except (OSError, NotImplementedError) as error:  # the latter on file systems without locks
        raise OutputError(f"Expected a folder that can be locked, got {folder}: {error}.") from None
    return held
