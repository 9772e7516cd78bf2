"""Keep the memory that a batch has freed for the next one.

glibc returns blocks of more than 32 MB to the system as soon as they are freed, and the end of the heap, too. The next
batch gets them back as pages that the system must fill with zeros first, which can take several times as long as the
network itself.
"""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of mallopt, from glibc's malloc.h."""
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """Keep freed memory for the rest of this process, if it uses glibc and its user has not tuned malloc."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _CHOSEN):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
