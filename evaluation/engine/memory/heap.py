"""Keep the memory that a batch has freed for the next one, and give it back between units of work.

glibc returns blocks of more than 32 MB to the system as soon as they are freed, and the end of the heap, too. The next
batch gets them back as pages that the system must fill with zeros first, which can take several times as long as the
network itself. What is kept all along breaks into pieces, of which fewer and fewer fit: a long run took six times the
memory that it used.
"""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of mallopt, from glibc's malloc.h."""
_GLIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """Keep freed memory for the rest of this process, if it uses glibc and its user has not tuned malloc."""
    mallopt = getattr(_GLIBC, "mallopt", None)
    if mallopt is not None and not any(name in os.environ for name in _CHOSEN):
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)


def give_back_memory() -> None:
    """Return all free pages to the system, also those in the middle of the heap, if this process uses glibc."""
    trim = getattr(_GLIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)
