"""What a spreadsheet or a hand has spoilt in a table is one sentence, which says in which row and column."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from foolbench.core import OutputError
from foolbench.evaluation.report.claims import read_rows

RESULTS = Path(__file__).parents[3] / "leaderboards" / "results"


@pytest.fixture
def spoilt(tmp_path):
    """`spoilt(column=text)` is a table with that in its second row."""

    def spoilt(name="quickstart", **changed):
        table = pd.read_csv(shutil.copy(RESULTS / f"{name}.csv", tmp_path), dtype=str, keep_default_na=False)
        for column, text in changed.items():
            table.loc[1, column] = text
        table.to_csv(tmp_path / "leaderboard.csv", index=False)
        return tmp_path / "leaderboard.csv"

    return spoilt


@pytest.mark.parametrize("name", sorted(path.stem for path in RESULTS.glob("*.csv")))
def test_published_results_are_tables(name):
    assert read_rows(RESULTS / f"{name}.csv")


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("gfr", "12,5", "'12,5' as gfr, no number in 0..100"),
        ("gfr", "", "'' as gfr, no number in 0..100"),
        ("gfr_low", "", "'' as gfr_low, no number"),
        ("gfr_area", "150", "'150' as gfr_area, no number in 0..100"),
        ("clean_high", "nan", "'nan' as clean_high, no number"),
        ("robust", "101", "'101' as robust, no number in 0..100"),
        ("n", "", "'' as n, no whole number"),
        ("n", "12.5", "'12.5' as n, no whole number"),
        ("eps", "4/255", "'4/255' as eps, no number in 0..inf"),
        ("seconds", "a while", "'a while' as seconds, no number"),
        ("attack_params", "not json", "'not json' as attack_params, no object of JSON"),
        ("defense_params", "[1]", "'[1]' as defense_params, no object of JSON"),
        ("unit", "metres", "the unit 'metres'"),
    ],
)
def test_a_spoilt_field_is_a_sentence(spoilt, column, text, expected):
    with pytest.raises(OutputError, match=r"its row 2 has ") as refused:
        read_rows(spoilt(**{column: text}))
    assert expected in str(refused.value)


@pytest.mark.parametrize("column", ["clean_low", "robust_high", "unit"])
def test_a_column_that_is_missing_is_a_sentence(spoilt, column, tmp_path):
    table = pd.read_csv(spoilt(), dtype=str, keep_default_na=False).drop(columns=column)
    table.to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(OutputError, match=f"it lacks the column '{column}'"):
        read_rows(tmp_path / "short.csv")


def test_what_is_missing_for_a_reason_may_be_missing(spoilt):
    """Images without labels, an infinite budget, a failed row, an error that is larger than a hundred."""
    ends = ("", "_low", "_high")
    assert read_rows(spoilt(**{f"robust{end}": "" for end in ends}, eps="inf"))
    assert read_rows(spoilt(status="error", **{f"gfr{end}": "" for end in ends}))
    assert read_rows(spoilt(unit="error", clean="140.5", clean_high="150"))
