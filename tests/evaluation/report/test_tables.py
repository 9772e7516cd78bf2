"""In a terminal no word of a table is torn, however narrow it is, and nothing is lost."""

import io
from pathlib import Path

import pandas as pd
import pytest
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.report.tables import pivot, terminal
from rich.console import Console

RESULTS = Path(__file__).parents[3] / "leaderboards" / "results"


def printed(table, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal(table, width))
    return console.file.getvalue()


@pytest.mark.parametrize("name", ["quickstart", "defenses", "priors", "photographs"])
@pytest.mark.parametrize("width", [80, 100, 200])
def test_words_are_whole(name, width):
    table = pd.read_csv(RESULTS / f"{name}.csv")
    lines = printed(table, width).splitlines()
    assert max(map(len, lines)) <= width
    boxes = [line for line in lines if line[:1] in ("┃", "│")]
    words = {word for line in boxes for word in line.replace("┃", " ").replace("│", " ").split()}
    for _, rows in pivot(table):
        for row in rows:
            for column, value in row.items():
                expected = f"{column} {value}".replace("[", " ").replace("]", " ").split()
                assert set(expected) <= words, (column, value)


def test_names_of_attacks_stand_in_one_line_where_there_is_room():
    table = pd.read_csv(RESULTS / "quickstart.csv")
    assert "gd-uap prior range" in printed(table, 200)
    assert "gd-uap prior range" not in printed(table, 80)


def test_errors_stand_in_their_own_unit_with_the_digits_they_need():
    table = pd.read_csv(RESULTS / "gduap-table5.csv")
    for model, own in table[table.defense == "none"].groupby("model"):
        parts = dict(pivot(table[table.model == model]))
        (errors,) = (title for title in parts if ": abs-rel, " in title)
        (shares,) = (title for title in parts if ": delta1 " in title)
        assert "an error in its own unit" in errors
        assert "delta1 in percent" in shares
        clean = own[own.metric == "abs-rel"].clean.iloc[0]
        assert parts[errors][0]["clean"] == f"{clean:.3f}"
        assert len(parts[shares][0]["clean"]) == len("94.7")


def test_only_where_attacks_transfer_are_networks_by_networks():
    """Also on a board that has such a run beside another one."""
    runs = [read_run(RESULTS / f"{name}.csv") for name in ("liang-table1", "gduap-table1")]
    parts = pivot(make_board(runs).frame())
    corners = [next(iter(lines[0])) for _, lines in parts]
    assert corners == ["crafted on", "crafted on", "defense"]
    assert parts[-1][0].startswith("scenes:googlenet: top1")
