"""Memory that a batch has used is kept for the next one.

glibc gives blocks of more than 32 MB back to the system as soon as they are free, and the end of the heap, too. The
next batch gets them again as pages that the system has to fill with zeros first, which can take several times as long
as the network itself.
"""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Of malloc.h."""
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """For the rest of this process, where its C library is glibc and its user has not chosen otherwise."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _CHOSEN):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
