"""`foolbench compare`: what it prints and writes, in 80 columns, and how it refuses."""

import json
import math
import re

import pandas as pd
import pytest
from foolbench import compare as foolbench_compare
from foolbench.evaluation.cli import compare
from foolbench.evaluation.cli.console import console
from rich.cells import cell_len


@pytest.fixture
def folder(execute, tmp_path):
    execute("out", "attacks=[{name='pgd', steps=3}]")
    return tmp_path / "out"


def test_a_table_of_80_columns_with_whole_words(foolbench, folder, monkeypatch):
    monkeypatch.setattr(console, "width", 80)
    code, out, err = foolbench("compare", folder)
    assert (code, err) == (0, "")
    assert max(map(cell_len, out.splitlines())) <= 80
    assert "digits:convnet x pgd, oblivious, n = 24" in out
    assert "Holm for all 2 comparisons" in " ".join(out.split())
    table = pd.read_csv(folder / "leaderboard.csv").set_index("defense").gfr
    for defense in ("bit-depth", "median"):
        (line,) = [line for line in out.splitlines() if f"{defense} - none" in line]
        rates = f"{table[defense]:.1f} - {table['none']:.1f}"
        assert re.search(rf"│ +{rates} │ +[+-][\d.]+ \[[+-][\d.]+, [+-][\d.]+\] │ +[<\d.]+ │ +[-\d]+ │", line)


def test_json_and_csv_have_all_columns(foolbench, folder, tmp_path):
    code, out, _ = foolbench("compare", folder, "--json", "--csv", tmp_path / "found.csv")
    rows, table = json.loads(out), pd.read_csv(tmp_path / "found.csv")
    assert code == 0
    assert [row["second"] for row in rows] == table.second.tolist() == ["bit-depth", "median"]
    assert list(rows[0]) == list(table.columns)
    assert [row["difference"] for row in rows] == pytest.approx(table.difference.tolist())
    assert all(row["n"] == 24 and row["clusters"] is None for row in rows)


def test_an_infinite_budget_is_json_that_any_program_reads(folder, capsys):
    compare.show(foolbench_compare(folder).assign(eps=float("inf")), as_json=True, csv=None)

    def refuse(constant):
        raise AssertionError(f"{constant} is not in JSON")

    rows = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert {row["eps"] for row in rows} == {"inf"}


def test_two_runs(foolbench, folder, execute, tmp_path):
    execute("other", "attacks=[{name='pgd', steps=3}]", "defenses=[{name='median'}]")
    code, out, err = foolbench("compare", folder, tmp_path / "other")
    assert (code, err) == (0, "")
    assert out.count("+0.0 [") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "attack"], "by attack"),
        (["--baseline", "medina"], "did you mean 'median'"),
        (["NOWHERE"], "nowhere"),
        (["--csv", "FILE/found.csv"], "--csv"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(foolbench, folder, tmp_path, arguments, says):
    (tmp_path / "file").write_text("in the way")
    places = {"NOWHERE": tmp_path / "nowhere", "FILE/found.csv": tmp_path / "file" / "found.csv"}
    given = [places.get(argument, argument) for argument in arguments]
    code, out, err = foolbench("compare", folder, *given)
    assert (code, out) == (2, "")
    assert says in err
    assert err.startswith("foolbench: ")
    assert err.count("\n") == 1


def test_a_flag_is_told_with_the_rate_that_it_makes_doubtful(foolbench, execute, tmp_path):
    execute("out", "attacks=[{name='fgsm'}]", "defenses=[{name='random-noise'}]", "draws=1")
    _, out, _ = foolbench("compare", tmp_path / "out")
    assert re.search(r"random-noise - none │ +[\d.]+\* - [\d.]+ │", out)
    assert "* single-draw: random-noise in digits:convnet x fgsm, oblivious" in out


def test_a_failed_row_is_told(foolbench, execute, tmp_path):
    execute("out", "attacks=[{name='fgsm'}]", "defenses=[{name='gaussian', sigma=5.0}, {name='median'}]")
    code, out, _ = foolbench("compare", tmp_path / "out")
    assert code == 0
    assert re.search(r"gaussian - none │ +error │ +- │", out)
    assert "digits:convnet x fgsm, oblivious: gaussian: " in out
    assert "median - none" in out


def test_json_of_a_difference_of_nothing_beside_others():
    """Which no number of images shows: null, where pandas has NaN among numbers."""
    found = pd.DataFrame({"eps": [0.1, math.inf], "needed": pd.array([None, 30], dtype=object), "difference": [0, 1.5]})
    assert json.loads(json.dumps(compare._as_json(found), allow_nan=False)) == [
        {"eps": 0.1, "needed": None, "difference": 0},
        {"eps": "inf", "needed": 30, "difference": 1.5},
    ]
