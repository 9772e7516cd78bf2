"""Where memory runs out fewer images go together, and no number changes."""

import cv2
import pytest
import torch
from foolbench.core import Model
from foolbench.core.passes import Passes
from foolbench.evaluation.engine.memory.pieces import Pieces, is_out_of_memory

FULL = "[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"


def test_halved_until_it_fits_and_no_more_is_tried_afterwards():
    tried, pieces = [], Pieces(16)

    def work(rows):
        tried.append((rows.start, rows.stop))
        if rows.stop - rows.start > 5:
            raise RuntimeError(FULL)
        return list(range(rows.start, rows.stop))

    assert [row for found in pieces.each(10, work) for row in found] == list(range(10))
    assert tried == [(0, 10), (0, 5), (5, 10)]
    assert pieces.first(10, work) == [0, 1, 2, 3, 4]


def test_what_was_in_vain_is_not_counted():
    pieces = Pieces(8, Passes())

    def work(rows):
        pieces.passes.forwards += rows.stop - rows.start
        if rows.stop - rows.start > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    pieces.each(8, work)
    assert pieces.passes.forwards == 8


def test_one_image_too_much_is_an_error_and_so_is_what_is_no_lack_of_memory():
    def work(rows):
        raise error

    for error in (MemoryError(), RuntimeError(FULL), ValueError("out of memory"), RuntimeError("no luck")):
        with pytest.raises(type(error)):
            Pieces(8).each(8, work)
    assert not is_out_of_memory(RuntimeError("no luck"))


SAID = ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "std::bad_alloc")


@pytest.mark.parametrize("error", [*map(RuntimeError, SAID), cv2.error("(-4:Insufficient memory) Failed to allocate")])
def test_whatever_it_is_called_a_lack_of_memory_is_seen(error):
    def work(rows):
        if rows.stop - rows.start > 1:
            raise error
        return rows.start

    assert Pieces(4).each(4, work) == [0, 1, 2, 3]
    assert not is_out_of_memory(cv2.error("(-215:Assertion failed) !src.empty()"))


@pytest.fixture
def small_memory(monkeypatch):
    """A machine on which no more than so many images go through a network, if that is known."""
    most, network = [], Model._network

    def limited(self, x):
        if most and len(x) > most[-1]:
            raise RuntimeError(FULL)
        return network(self, x)

    monkeypatch.setattr(Model, "_network", limited)
    return most


SETTINGS = (
    "samples=24",
    "batch_size=24",
    "draws=2",
    "eot_draws=2",
    "knowledge=['oblivious', 'adaptive']",
    "attacks=[{name='uniform-noise'}, {name='pgd', steps=3}, {name='autoattack', steps=3, queries=10,"
    "knowledge=['oblivious']}]",
    "defenses=[{name='bit-depth'}, {name='random-noise'}]",
)


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def whole(execute, known):
    """`whole(storage)` is the table of a machine that has memory enough."""

    def whole(storage="float32"):
        if storage not in known:
            known[storage] = execute("whole", *SETTINGS, f"storage={storage}")
        return known[storage]

    return whole


@pytest.mark.parametrize("storage", ["float32", "uint8"])
def test_a_run_that_lacks_memory_makes_the_same_table(execute, assert_same, whole, small_memory, storage):
    expected = whole(storage)
    small_memory.append(7)
    assert_same(execute("small", *SETTINGS, f"storage={storage}"), expected, loose=["l2_mean"])


def test_memory_that_runs_out_in_the_middle(execute, assert_same, whole, small_memory, monkeypatch):
    expected = whole()
    calls, judge = [], Model.judge

    def shrinking(self, x, *, rng=None):
        calls.append(1)
        if len(calls) == 5:
            small_memory.append(3)
        return judge(self, x, rng=rng)

    monkeypatch.setattr(Model, "judge", shrinking)
    assert_same(execute("small", *SETTINGS), expected, loose=["l2_mean"])
    assert small_memory == [3]


def test_automatic_batches_change_nothing(execute, assert_same, whole):
    assert_same(execute("auto", *SETTINGS, "batch_size=auto"), whole(), loose=["l2_mean"])


@pytest.mark.parametrize(("batch_size", "most"), [("'auto'", 64), (20, 20)])
def test_of_a_defense_that_shows_views_no_more_images_come_to_the_network(execute, monkeypatch, batch_size, most):
    """Neither to be scored nor to be crafted: on a processor nobody says when memory runs out."""
    seen, network = [], Model._network

    def noted(self, x):
        seen.append(len(x))
        return network(self, x)

    monkeypatch.setattr(Model, "_network", noted)
    defense = "{name='crop-ensemble', crops=5}"
    settings = ("attacks=[{name='pgd', steps=1}]", f"defenses=[{defense}]", "knowledge=['oblivious', 'adaptive']")
    table = execute("views", *settings, "samples=70", f"batch_size={batch_size}", "draws=2", "eot_draws=2")
    assert set(table.status) == {"ok"}
    assert max(seen) == most
