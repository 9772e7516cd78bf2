"""A run that is worse than an earlier one by more than chance fails."""

import sys

import pandas as pd
import pytest

pytest_plugins = "pytester"
NET = """
import torch
import foolbench

def net():
    model = foolbench.load_model("digits:convnet")
    if {weaker}:
        with torch.no_grad():
            list(model.net.parameters())[-1][3] += 40  # it says 3 to everything
    return foolbench.Model(model.net, task=model.task, mean=0.5, std=0.5, shape=(1, 8, 8), name="net")
"""


@pytest.fixture
def train(pytester, recipe, tiny):
    """`train(weaker)` writes the network that the recipe is about."""
    recipe(text=tiny.replace("digits:convnet", "net.py:net").replace("samples = 16", "samples = 64"))

    def train(*, weaker):
        (pytester.path / "net.py").write_text(NET.format(weaker=weaker))
        for name in [name for name in sys.modules if name.startswith("foolbench_plugin_net")]:
            del sys.modules[name]  # as in another session

    return train


def test_only_what_is_significantly_worse_fails(pytester, run, train):
    train(weaker=False)
    only = ("-k", "noise or baseline")
    run("tiny.toml", "--foolbench-out", "before").assert_outcomes(passed=4)
    for baseline in ("before", "before/leaderboard.csv"):
        result = run("tiny.toml", *only, "--foolbench-out", "same", "--foolbench-baseline", baseline)
        result.assert_outcomes(passed=3, deselected=2)
        result.stdout.fnmatch_lines(["baseline: 0 of 8 rates are significantly worse than in *before*"])
    train(weaker=True)
    for baseline in ("before", "before/leaderboard.csv"):
        result = run("tiny.toml", *only, "--foolbench-out", "after", "--foolbench-baseline", baseline)
        result.assert_outcomes(passed=2, failed=1, deselected=2)
        worse = [line for line in result.outlines if line.startswith("net.py:net x uniform-noise x none, oblivious: ")]
        assert any("robust 92.2 -> 9.4" in line for line in worse)


@pytest.mark.parametrize(
    ("baseline", "sentence"),
    [
        ("out", "Expected another run as baseline"),
        ("tiny.toml", "Expected a leaderboard.csv"),
    ],
)
def test_what_is_no_baseline_is_a_sentence(pytester, recipe, run, baseline, sentence):
    recipe()
    pytester.mkdir("out")
    result = run("tiny.toml", "-k", "baseline", "--foolbench-out", "out", "--foolbench-baseline", baseline)
    result.assert_outcomes(failed=1, deselected=4)
    assert sentence in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize(("baseline", "sentence"), [("gone", "found none at"), ("", "found an empty text")])
def test_a_baseline_that_is_not_there_is_said_before_anything_runs(recipe, run, baseline, sentence):
    recipe()
    result = run("tiny.toml", "-k", "noise", "--foolbench-out", "out", "--foolbench-baseline", baseline)
    result.assert_outcomes(errors=1)
    assert sentence in result.stdout.str()


def test_a_table_with_a_cell_twice_is_no_baseline(pytester, recipe, run):
    recipe()
    run("tiny.toml", "-k", "noise", "--foolbench-out", "before")
    table = pd.read_csv(pytester.path / "before" / "leaderboard.csv")
    pd.concat([table, table]).to_csv(pytester.path / "table.csv", index=False)
    result = run("tiny.toml", "-k", "baseline", "--foolbench-baseline", "table.csv")
    assert "is of the same cell as an earlier one" in result.stdout.str()


def test_rows_that_are_not_in_the_table_are_not_compared(pytester, recipe, run):
    recipe()
    run("tiny.toml", "-k", "noise", "--foolbench-out", "before")
    table = pd.read_csv(pytester.path / "before" / "leaderboard.csv")
    table.to_csv(pytester.path / "table.csv", index=False)
    result = run("tiny.toml", "-k", "baseline", "--foolbench-baseline", "table.csv")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["baseline: 0 of 4 rates*"])
