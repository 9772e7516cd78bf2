"""Finished work is in the ledger wholly or not at all, and stays there; what is damaged is never shown."""

import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from foolbench.core import OutputError
from foolbench.evaluation.ledger.ledger import Costs, Ledger

ME, YOU = {"versions": {"torch": "me"}}, {"versions": {"torch": "you"}}


def frame(ledger, cell="cell"):
    return ledger.outcomes(cell).frame("top1")


def test_what_is_written_is_read_back(ledger, shard):
    ledger.write("cell", shard(5, 3, 1, flags={"doubtful"}))
    assert ledger.finished("cell") == {1, 3, 5}
    assert ledger.finished("other") == set()
    pd.testing.assert_frame_equal(frame(ledger), shard(1, 3, 5).frame("top1"), check_dtype=False)
    assert ledger.outcomes("cell").flags == {"doubtful"}
    assert ledger.outcomes("other") is None


def test_shards_come_together_in_order(ledger, shard):
    ledger.write("cell", shard(5, 3))
    ledger.write("cell", shard(1, 0))
    assert frame(ledger)["sample"].tolist() == [0, 1, 3, 5]


def test_writing_a_sample_again_replaces_it(ledger, shard):
    ledger.write("cell", shard(0, 1, gfr=0.0))
    ledger.write("cell", shard(1, 2, gfr=1.0))
    assert frame(ledger).gfr.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("mended", [False, True])
def test_everything_is_there_after_reopening(path, shard, mended):
    with closing(Ledger(path)) as first:
        for sample in range(9):
            first.write("cell", shard(sample, gfr=sample / 8, flags={f"f{sample}"}))
        first.write_error("broken", "why")
        first.write_costs("job", Costs(10, 5, 1.5), "hash")
        first.write_learned("system", "PCA(…)")
        before, flags = frame(first), first.outcomes("cell").flags
        if mended:
            first.mend("cell")
    for read_only in (False, True):
        with closing(Ledger(path, read_only=read_only)) as second:
            pd.testing.assert_frame_equal(frame(second), before)
            assert second.outcomes("cell").flags == flags
            assert second.error("broken") == "why"
            assert second.costs("job") == Costs(10, 5, 1.5)
            assert second.learned("system") == "PCA(…)"


def test_makers_come_and_go_with_what_they_made(ledger, shard):
    for sample, maker in enumerate((ME, YOU, ME)):
        ledger.write("cell", shard(sample), maker)
    ledger.write("another", shard(0), YOU)
    ledger.write("of nobody known", shard(0))
    ledger.write_costs("job", Costs(10, 5, 1.5), "hash", ME)
    ledger.write_costs("job", Costs(10, 5, 1.5), "another hash", YOU)
    assert ledger.makers() == {"cell": [ME, YOU], "another": [YOU], "job": [YOU]}
    ledger.mend("cell")
    assert ledger.makers()["cell"] == [ME, YOU]
    ledger.forget("cell")
    assert ledger.makers() == {"another": [YOU], "job": [YOU]}


def test_a_damaged_maker_is_not_known(ledger, path, shard, change):
    ledger.write("cell", shard(0), ME)
    ledger.write("cell", shard(1), YOU)
    change(path, "UPDATE facts SET value = replace(value, '\"me', '\"no') WHERE kind = 'maker' AND value LIKE '%me%'")
    assert ledger.makers() == {"cell": [YOU]}


def test_an_error_is_forgotten_after_success_in_its_own_cell(ledger, shard):
    ledger.write_error("a", "first")
    ledger.write_error("a", "second")
    ledger.write_error("b", "other")
    assert ledger.error("a") == "second"
    ledger.write("a", shard(0))
    assert ledger.error("a") is None
    assert ledger.error("b") == "other"


def test_image_attacks_have_no_crafting_costs(ledger):
    assert ledger.costs("nothing") is None


def test_costs_come_with_the_hash_of_what_was_found(path):
    with closing(Ledger(path)) as ledger:
        assert ledger.perturbation("job") is None
        ledger.write_costs("job", Costs(10, 5, 1.5), "hash")
        assert ledger.costs("job") == Costs(10, 5, 1.5)
        assert ledger.perturbation("job") == "hash"


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"name,gfr\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 4096])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path, content, read_only):
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"ledger\.sqlite"):
        Ledger(path, read_only=read_only)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "settings", ["", "PRAGMA application_id = 99", "PRAGMA application_id = 1718579052; PRAGMA user_version = 99"]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_others_or_of_another_version_is_refused_and_left_alone(path, settings, read_only):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{settings}; CREATE TABLE scores (cell TEXT);")
    content = path.read_bytes()
    with pytest.raises(OutputError, match="Expected a ledger"):
        Ledger(path, read_only=read_only)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match="ledger"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")
    with pytest.raises(OutputError, match="ledger"):
        Ledger(tmp_path)
    with pytest.raises(OutputError, match="no such file"):
        Ledger(tmp_path / "ledger.sqlite", read_only=True)


def test_a_journal_that_a_killed_run_has_left_is_read_without_a_change(path, shard, change):
    with closing(Ledger(path)) as killed:
        killed.write("cell", shard(0, 1))
        names = {file.name: file.read_bytes() for file in path.parent.iterdir()}
        assert names["ledger.sqlite-wal"]
        with closing(Ledger(path, read_only=True)) as ledger:
            assert ledger.finished("cell") == {0, 1}
        assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == names


def test_what_is_remembered_of_networks_data_and_defenses_can_be_taken_over(ledger, tmp_path, shard, change):
    with closing(Ledger(tmp_path / "other.sqlite")) as other:
        other.write("cell", shard(0))
        other.write_error("broken", "why")
        other.write_costs("job", Costs(10, 5, 1.5), "hash")
        other.write_learned("system", "PCA(learned=3)")
        other.write_learned("damaged", "PCA(learned=4)")
        other.write_glimpse("data", "thumbnails")
        other.write_behaviour("sha", "id", b"answers")
        change(tmp_path / "other.sqlite", "UPDATE facts SET value = 'PCA' WHERE name = ?", "damaged")
        ledger.take_over(other)
    assert ledger.learned("system") == "PCA(learned=3)"
    assert ledger.glimpse("data") == "thumbnails"
    assert ledger.behaviours("sha") == {"id": b"answers"}
    assert (ledger.outcomes("cell"), ledger.error("broken"), ledger.costs("job")) == (None, None, None)
    assert ledger.learned("damaged") is None
