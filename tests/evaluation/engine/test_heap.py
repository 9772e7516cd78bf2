"""Memory is not given back between two batches, unless somebody wants it so."""

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
from foolbench.evaluation.engine.memory.heap import keep_freed_memory

keep_freed_memory()
for _ in range(5):
    b"." * 2**26  # 64 MiB, of the heap that tensors are of, too
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    b"." * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

PINNED = """
from foolbench.evaluation.engine.memory.heap import Heap, _resident, keep_freed_memory

keep_freed_memory()
heap = Heap()
heap.after_unit()
pieces = [(b"." * 2**26, b"." * 2**16) for _ in range(30)]
pieces = [small for _, small in pieces]  # between which the large ones lay
grown = _resident()
heap.after_unit()
print(grown - _resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
def test_a_large_batch_gets_the_pages_of_the_last_one():
    kept, given_back = (pages(**chosen) for chosen in ({}, {"MALLOC_TRIM_THRESHOLD_": "131072"}))
    assert 3 * kept < given_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
def test_what_lies_between_pieces_in_use_is_given_back():
    assert output(PINNED) > 2**29


def pages(**environment) -> int:
    """How many the system had to provide for five batches."""
    return output(COUNT, **environment)


def output(code: str, **environment) -> int:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=known | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)
