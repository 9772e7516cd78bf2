"""A worker elsewhere finds what the cache of the run has, and the cache gets what the worker makes."""

import os
import threading

import pytest
import torch
from foolbench.evaluation.engine.cache.cache import Cache
from foolbench.evaluation.engine.executors import borrowed_cache
from foolbench.evaluation.engine.executors.borrowed_cache import Asked, BorrowedCache, Made

NAME, NAMES = "adversarial/job/shard", {"x_adv", "undone"}


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "of the run")


@pytest.fixture
def asked():
    return []


@pytest.fixture
def borrowed(cache, asked, tmp_path):
    """It answers from another thread, as the run does."""

    def handle(event):
        match event:
            case Asked(name):
                asked.append(name)
                threading.Thread(target=lambda: found.answer(name, cache.content(name))).start()
            case Made(name, content):
                cache.take(name, content)

    found = BorrowedCache(tmp_path / "of the worker", send=handle)
    yield found
    assert not found.folder.exists()


def same(found, tensors):
    return found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_what_one_has_made_the_other_finds(cache, borrowed, asked, clean, tensors):
    assert borrowed.recall(NAME, NAMES, clean) is None
    borrowed.keep(NAME, tensors, clean)
    assert same(cache.recall(NAME, NAMES, clean), tensors)
    cache.keep("perturbations/other", tensors)
    assert same(borrowed.recall(NAME, NAMES, clean), tensors)
    assert same(borrowed.recall("perturbations/other", NAMES), tensors)
    assert asked == [NAME, NAME, "perturbations/other"]


def test_what_is_damaged_on_the_way_is_not_found(cache, borrowed, clean, tensors):
    cache.keep(NAME, tensors, clean)
    content = bytearray(cache.content(NAME))
    content[len(content) // 2] ^= 1
    cache.path(NAME).write_bytes(content)
    assert borrowed.recall(NAME, NAMES, clean) is None
    cache.path(NAME).write_bytes(content[:100])
    assert borrowed.recall(NAME, NAMES, clean) is None


def test_what_workers_make_keeps_to_the_limit_and_what_they_use_stays(cache, borrowed, tensors):
    cache.limit = 5000  # four entries
    borrowed.keep("adversarial/job/used", tensors)
    for place in range(9):
        for entry in cache.entries():
            os.utime(entry.path, (1000, 1000))
        assert borrowed.recall("adversarial/job/used", NAMES) is not None
        borrowed.keep(f"adversarial/job/{place}", tensors)
        assert sum(entry.size for entry in cache.entries()) <= cache.limit
    assert len(cache.entries()) > 1


def test_without_an_answer_it_is_as_if_there_were_no_entry(monkeypatch, tmp_path):
    monkeypatch.setattr(borrowed_cache, "PATIENCE", 0.01)
    alone = BorrowedCache(tmp_path, send=lambda event: None)
    assert alone.recall(NAME, NAMES) is None
    alone.answer(NAME, b"too late")
    alone.answer(NAME, None)
