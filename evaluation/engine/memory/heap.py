"""Keep the memory that a batch has freed for the next one, and give it back when too much is kept.

glibc returns blocks of more than 32 MB to the system as soon as they are freed, and the end of the heap, too. The next
batch gets them back as pages that the system must fill with zeros first, which can take several times as long as the
network itself. What is kept all along breaks into pieces, of which fewer and fewer fit: a long run took several
times the memory that it used.
"""

import ctypes
import os
import sys
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of mallopt, from glibc's malloc.h."""
_GLIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
_GROWN, _SLACK = 1.5, 500_000_000
"""How much more memory a process may take than its work has needed: a factor, and bytes."""
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """Keep freed memory for the rest of this process, if it uses glibc and its user has not tuned malloc."""
    mallopt = getattr(_GLIBC, "mallopt", None)
    if mallopt is not None and not any(name in os.environ for name in _CHOSEN):
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)


class Heap:
    """Returns free pages to the system, also those in the middle of the heap, when a process has grown without need.

    It has if it takes half as much again as after the unit of work that followed the last return, which is what units
    need; to return pages after each would slow short ones by a tenth.
    """

    def __init__(self) -> None:
        self._needed: int | None = None

    def after_unit(self) -> None:
        """Do so after a unit of work, if the process uses glibc."""
        trim, now = getattr(_GLIBC, "malloc_trim", None), _resident()
        if self._needed is None:
            self._needed = now
        elif trim is not None and now > _GROWN * self._needed + _SLACK:
            trim(0)
            self._needed = None


def _resident() -> int:
    """Return the bytes of memory that this process has in use, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):  # not on Linux
        return 0
