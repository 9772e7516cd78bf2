"""A ledger that is damaged is noticed, made whole where it can be, and costs no more than what is lost."""

import random
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from foolbench.core import OutputError
from foolbench.evaluation.ledger.ledger import Costs, DamagedRecordError, Ledger
from foolbench.evaluation.ledger.restoring import restore


def frame(ledger, cell="cell"):
    return ledger.outcomes(cell).frame("top1")


DAMAGE = {
    "null": "UPDATE records SET record = X'' WHERE id = 2",
    "text": "UPDATE records SET record = 'text' WHERE id = 2",
    "number": "UPDATE records SET checksum = 7 WHERE id = 2",
    "another cell's": "UPDATE records SET cell = 'b' WHERE id = 1",
    "another's content": "UPDATE records SET record = (SELECT record FROM records WHERE id = 1) WHERE id = 2",
}


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_costs_its_own_cell_until_it_is_made_anew(path, shard, statement, change):
    with closing(Ledger(path)) as first:
        first.write("a", shard(0, gfr=0.0))
        first.write("b", shard(0))
        first.write("b", shard(1))
        first.write("c", shard(0))
    change(path, statement)
    with closing(Ledger(path)) as ledger:
        with pytest.raises(DamagedRecordError, match="damaged"):
            ledger.outcomes("b")
        assert ledger.finished("c") == {0}
        ledger.mend("b")
        assert ledger.finished("b") <= {0, 1}
        ledger.write("b", shard(0, 1))
        assert ledger.finished("b") == {0, 1}


@pytest.mark.parametrize("far", [30_000, 2**62], ids=["after a gap", "one far away"])
def test_rows_are_found_again_however_far_apart_their_ids_are(path, shard, far, change):
    """As those of mended cells are, which lie behind all the ids of the shards that they are made of."""
    cells = ["cell 1", "cell 2", "cell 3", "cell 4"]
    with closing(Ledger(path)) as first:
        for cell in cells:
            first.write(cell, shard(0, 1))
        for system in ("system 1", "system 2"):
            first.write_learned(system, "PCA(…)")
    change(path, "UPDATE records SET id = ? WHERE cell = 'cell 3'", far)
    change(path, "UPDATE records SET id = ? WHERE cell = 'cell 4'", far + 20_000)
    replace_last(path, b"system 1", b"system 2")
    restore(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(id) FROM records").fetchone() == (4,), "it is another file"
    with closing(Ledger(path)) as ledger:
        assert [len(ledger.finished(cell)) for cell in cells] == [2, 2, 2, 2]


def test_damaged_facts_are_no_facts(path, change):
    with closing(Ledger(path)) as first:
        first.write_error("broken", "why")
        first.write_costs("job", Costs(10, 5, 1.5), "hash")
        first.write_learned("system", "PCA(…)")
    for kind in ("error", "costs", "learned"):
        change(path, "UPDATE facts SET value = '[1, 2, 3]' WHERE kind = ?", kind)
    with closing(Ledger(path)) as ledger:
        assert "damaged" in ledger.error("broken")
        assert ledger.costs("job") is None
        with pytest.raises(DamagedRecordError):
            ledger.learned("system")


def test_lost_facts_can_be_forgotten(path, change):
    with closing(Ledger(path)) as first:
        first.write_learned("system", "PCA(…)")
        first.write_learned("other", "PCA(…)")
        first.write_glimpse("data", "[]")
    change(path, "UPDATE facts SET value = 'PCA(?)' WHERE name = 'system'")
    with closing(Ledger(path)) as ledger:
        assert ledger.lacks_learned("system")
        assert not ledger.lacks_learned("other")
        assert not ledger.lacks_learned("nobody")
        assert not ledger.lacks_glimpse("data")
        ledger.forget_learned("system")
        assert ledger.learned("system") is None
        assert ledger.learned("other") == "PCA(…)"


def replace_last(path, old, new):
    """The file with the last of the same words replaced: that in the index, which comes after what it leads to."""
    before, _, after = path.read_bytes().rpartition(old)
    path.write_bytes(before + new + after)


def test_a_damaged_index_costs_nothing(path, shard):
    cells = ("cell 1", "cell 2", "cell 3")
    with closing(Ledger(path)) as first:
        for number, cell in enumerate(cells):
            first.write(cell, shard(0, 1, gfr=number / 2))
        for system in ("system 1", "system 2"):
            first.write_learned(system, f"PCA({system})")
        truth = {cell: frame(first, cell) for cell in cells}
    replace_last(path, b"cell 2", b"cell 3")
    replace_last(path, b"system 1", b"system 2")
    with closing(sqlite3.connect(path)) as connection:
        assert "missing from index" in str(connection.execute("PRAGMA integrity_check").fetchall())
    assert restore(path) is None
    with closing(Ledger(path)) as ledger:
        assert not ledger.lacks_learned("system 2")
        for cell in cells:
            pd.testing.assert_frame_equal(frame(ledger, cell), truth[cell])
        assert ledger.learned("system 1") == "PCA(system 1)"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("letter", [b"?", b"\xce"])
@pytest.mark.parametrize("word", [b"TABLE records", b"INTEGER", b"records_of_cell"])
def test_a_ledger_whose_tables_cannot_be_found_gives_way_to_a_new_one(path, shard, word, letter):
    with closing(Ledger(path)) as first:
        first.write("cell", shard(0))
    content = path.read_bytes()
    path.write_bytes(content.replace(word, word[:-1] + letter))
    damaged = path.read_bytes()
    with pytest.raises(OutputError, match="is damaged; run the recipe again"):
        Ledger(path, read_only=True)
    with pytest.raises(OutputError, match="is damaged; run the recipe again"):
        Ledger(path)
    assert str(path.with_name("ledger.sqlite.damaged")) in restore(path)
    with closing(Ledger(path)) as ledger:
        assert ledger.finished("cell") == set()
        ledger.write("cell", shard(0, 1))
    with closing(Ledger(path)) as ledger:
        assert ledger.finished("cell") == {0, 1}
    assert path.with_name("ledger.sqlite.damaged").read_bytes() == damaged


def test_no_ledger_that_was_put_aside_is_overwritten(path, shard):
    for cell in ("cell 1", "cell 2", "cell 3"):
        with closing(Ledger(path)) as ledger:
            ledger.write(cell, shard(0))
        path.write_bytes(path.read_bytes().replace(b"TABLE records", b"TABLE record?"))
        assert restore(path)
    kept = [path.with_name(f"ledger.sqlite.damaged{number}") for number in ("", ".2", ".3")]
    assert sorted(path.parent.iterdir()) == kept
    assert [f"cell {number}".encode() in file.read_bytes() for number, file in enumerate(kept, 1)] == [True] * 3


@pytest.mark.parametrize("more", ["ANALYZE", "CREATE VIEW seen AS SELECT cell FROM records", "CREATE TABLE own (x)"])
def test_a_table_or_a_view_more_does_no_harm(path, shard, more):
    with closing(Ledger(path)) as first:
        first.write("cell", shard(0))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(more)
        connection.commit()
    assert restore(path) is None
    for read_only in (False, True):
        with closing(Ledger(path, read_only=read_only)) as ledger:
            assert ledger.finished("cell") == {0}
    assert list(path.parent.iterdir()) == [path]


def test_who_has_the_ledger_open_sees_what_is_written_after_it_was_mended(path, shard, change):
    with closing(Ledger(path)) as first:
        first.write("a", shard(0))
        first.write("b", shard(0))
        first.write("b", shard(1))
    change(path, DAMAGE["null"])
    with closing(Ledger(path)) as watching, closing(Ledger(path)) as one, closing(Ledger(path)) as other:
        one.repair("b")
        one.write("b", shard(0))
        other.repair("b")
        other.write("c", shard(0))
        for ledger in (watching, one, other):
            assert [ledger.finished(cell) for cell in "abc"] == [{0}, {0, 1}, {0}]


def test_a_disk_that_is_full_while_a_ledger_is_mended_is_one_sentence_and_costs_nothing(path, shard, monkeypatch):
    with closing(Ledger(path)) as first:
        first.write("cell 1", shard(0, 1))
        first.write("cell 2", shard(0, 1))
    replace_last(path, b"cell 1", b"cell 2")
    content, connect = path.read_bytes(), sqlite3.connect

    def full(place, **options):
        connection = connect(place, **options)
        if str(place).endswith(".tmp"):
            connection.execute("PRAGMA max_page_count = 2")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", full)
        with pytest.raises(OutputError, match=r"ledger\.sqlite cannot be read or mended: .* full"):
            restore(path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
    restore(path)
    with closing(Ledger(path)) as ledger:
        assert ledger.finished("cell 1") == ledger.finished("cell 2") == {0, 1}


def test_no_bit_of_the_file_changes_a_number_in_silence(path, shard):
    """Nor does a flip anywhere keep a run from making its cells anew."""
    cells = [f"cell {number}" for number in range(12)]
    with closing(Ledger(path)) as ledger:
        for number, cell in enumerate(cells):
            ledger.write(cell, shard(*range(64), gfr=number / 11, clean=(number + 1) / 12, flags={cell}))
        truth = {cell: frame(ledger, cell) for cell in cells}
    content = path.read_bytes()
    rng, intact = random.Random(0), 0
    for _ in range(60):
        bit = rng.randrange(8 * 100, 8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            restore(path)
            with closing(Ledger(path)) as ledger:
                for cell in cells:
                    ledger.mend(cell)
                    found = ledger.outcomes(cell)
                    if found is not None:
                        pd.testing.assert_frame_equal(found.frame("top1"), truth[cell])
                        assert found.flags == {cell}
                        intact += 1
        except OutputError:
            pass
        for file in path.parent.glob("ledger.sqlite-*"):
            file.unlink()
    assert intact > 60 * len(cells) * 0.9
