"""What rests on a damaged fact of the ledger is made anew, once, and nothing else is."""

import sqlite3
from contextlib import closing

import pytest
from foolbench.evaluation.ledger.ledger import Ledger

SETTINGS = (
    "knowledge=['oblivious', 'adaptive']",
    "attacks=[{name='fgsm'}, {name='gd-uap', max_iterations=3}]",
    "defenses=[{name='median'}, {name='pca', training_images=20, components=9}]",
    "samples=12",
)


@pytest.fixture
def written(monkeypatch):
    """The cells of which scores are written."""
    cells, write = [], Ledger.write

    def noted(ledger, cell, *content):
        cells.append(cell)
        write(ledger, cell, *content)

    monkeypatch.setattr(Ledger, "write", noted)
    return cells


def damage(folder, kind):
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection, connection:
        assert connection.execute("UPDATE facts SET value = value || ' ' WHERE kind = ?", (kind,)).rowcount == 1


def test_of_a_defense_whose_lesson_is_lost_all_is_made_anew(execute, assert_same, written, tmp_path):
    first = execute("out", *SETTINGS)
    through_pca = first[(first.knowledge == "adaptive") & (first.defense == "pca")].set_index("attack").crafted
    images = tmp_path / "out" / through_pca["fgsm"]
    perturbation = tmp_path / "out" / through_pca["gd-uap"]
    (images / "crafted long ago").touch()
    perturbation.with_suffix(".partial").touch()
    written.clear()
    damage(tmp_path / "out", "learned")
    assert_same(execute("out", *SETTINGS), first)
    assert sorted(written) == sorted(first[first.defense == "pca"].cell)
    assert [path.suffix for path in images.iterdir()] == [".safetensors"]
    assert perturbation.exists()
    assert not perturbation.with_suffix(".partial").exists()
    written.clear()
    assert_same(execute("out", *SETTINGS), first)
    assert written == []


def test_of_data_that_nobody_remembers_all_is_scored_anew(execute, assert_same, written, tmp_path):
    first = execute("out", *SETTINGS)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("adversarial/**/*.safetensors")}
    written.clear()
    damage(tmp_path / "out", "glimpse")
    assert_same(execute("out", *SETTINGS), first)
    assert sorted(written) == sorted(first.cell)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # they are within their budgets
    written.clear()
    assert_same(execute("out", *SETTINGS), first)
    assert written == []
