"""Finished work is in the ledger wholly or not at all, and stays there."""

import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from foolbench.core import OutputError
from foolbench.evaluation.ledger.ledger import Costs, Ledger, Score


def shard(*samples, gfr=1.0):
    return [Score(s, "top1", 1.0, gfr, 0.0, 0.0, 0.1, 0.5, 3.0, 2.0, 0.25) for s in samples]


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def test_what_is_written_is_read_back(ledger):
    written = shard(0, 1, 2)
    ledger.write("cell", written)
    assert ledger.finished("cell") == {0, 1, 2}
    assert ledger.finished("other") == set()
    frame = ledger.scores("cell", "top1", range(10))
    assert [Score(*row) for row in frame.itertuples(index=False)] == written


def test_scores_come_in_order_and_of_the_samples_asked_for(ledger):
    ledger.write("cell", shard(5, 3))
    ledger.write("cell", shard(1, 0))
    assert ledger.scores("cell", "top1", range(4))["sample"].tolist() == [0, 1, 3]
    assert ledger.scores("cell", "other metric", range(4)).empty


@pytest.mark.parametrize("broken", ["not a score", None], ids=["type", "null"])
def test_a_shard_is_wholly_in_or_not(ledger, broken):
    ledger.write("cell", shard(0, 1))
    ledger.write_error("cell", "earlier")
    half = [*shard(2, 3), shard(4)[0]._replace(gfr=broken if broken is None else object()), *shard(5)]
    with pytest.raises(sqlite3.Error):
        ledger.write("cell", half)
    assert ledger.finished("cell") == {0, 1}
    assert ledger.error("cell") == "earlier"
    ledger.write("cell", shard(2, 3))  # the connection is still good
    assert ledger.finished("cell") == {0, 1, 2, 3}


def test_a_process_that_dies_within_a_shard_leaves_none_of_it(ledger, tmp_path):
    def dying():
        yield from shard(0, 1)
        raise KeyboardInterrupt

    class Shard(list):
        def __iter__(self):
            return dying()

    with pytest.raises(KeyboardInterrupt):
        ledger.write("cell", Shard())
    with closing(Ledger(tmp_path / "ledger.sqlite")) as again:
        assert again.finished("cell") == set()


def test_writing_a_sample_again_replaces_it(ledger):
    ledger.write("cell", shard(0, 1, gfr=0.0))
    ledger.write("cell", shard(1, 2, gfr=1.0))
    assert ledger.scores("cell", "top1", range(9))["gfr"].tolist() == [0.0, 1.0, 1.0]


def test_everything_is_there_after_reopening(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path)) as first:
        first.write("cell", shard(0))
        first.write_error("broken", "why")
        first.write_costs("job", Costs(10, 5, 1.5))
        before = first.scores("cell", "top1", range(1))
    with closing(Ledger(path)) as second:
        pd.testing.assert_frame_equal(second.scores("cell", "top1", range(1)), before)
        assert second.error("broken") == "why"
        assert second.costs("job") == Costs(10, 5, 1.5)


def test_an_error_is_forgotten_after_success_in_its_own_cell(ledger):
    ledger.write_error("a", "first")
    ledger.write_error("a", "second")
    ledger.write_error("b", "other")
    assert ledger.error("a") == "second"
    ledger.write("a", shard(0))
    assert ledger.error("a") is None
    assert ledger.error("b") == "other"


def test_image_attacks_have_no_crafting_costs(ledger):
    assert ledger.costs("nothing") is None


def test_a_null_score_is_refused(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        ledger.write("cell", [shard(0)[0]._replace(gfr=float("nan"))])  # SQLite stores NaN as NULL


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"name,gfr\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"ledger\.sqlite"):
        Ledger(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match="ledger"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")
    with pytest.raises(OutputError, match="ledger"):
        Ledger(tmp_path)
