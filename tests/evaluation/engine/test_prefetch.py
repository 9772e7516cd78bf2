"""Work is done ahead, and never two pieces of it at a time."""

import threading
import time

import pytest
from foolbench.evaluation.engine.memory.prefetch import Prefetcher


def test_what_was_not_begun_waits_for_what_was():
    """In the same thread: a file or a database that a data set has opened may be of use in no other."""
    busy, threads = threading.Lock(), set()

    def work(item):
        assert busy.acquire(blocking=False)
        threads.add(threading.get_ident())
        time.sleep(0.05)
        busy.release()
        return 2 * item

    coming = Prefetcher()
    coming.begin(work, 1)
    assert [coming.result(work, item) for item in (2, 1, 3)] == [4, 2, 6]
    assert len(threads) == 1


def test_what_fails_says_so_to_whoever_asked():
    def work(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"):
        Prefetcher().result(work, 7)
