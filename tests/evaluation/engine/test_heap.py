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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
def test_a_large_batch_gets_the_pages_of_the_last_one():
    kept, given_back = (pages(**chosen) for chosen in ({}, {"MALLOC_TRIM_THRESHOLD_": "131072"}))
    assert 3 * kept < given_back


def pages(**environment) -> int:
    """How many the system had to provide for five batches."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=known | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)
