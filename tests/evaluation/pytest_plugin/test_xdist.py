"""Several processes share one ledger, and what cells have in common is made once."""

import pandas as pd
import pytest

pytest_plugins = "pytester"
SHARED = """
name = "shared"
dataset = "digits"
samples = 16
models = ["digits:convnet"]
[threat]
eps = "40/255"
[[attacks]]
name = "toy-universal"
[[attacks]]
name = "pgd"
steps = 2
[[defenses]]
name = "toy-learned"
[[defenses]]
name = "bit-depth"
"""
SLOW = """
import os, time
from dataclasses import dataclass
from pathlib import Path
import torch
from foolbench.core import LearnedTransform, UniversalAttack, register_attack, register_defense
from foolbench.evaluation.engine.networks import training_data

training_data.SUBSTITUTES = 32  # cropping the photographs is most of the time

def told(what):
    with open("log.txt", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")
    time.sleep(1)  # the other process comes here meanwhile, if it may

@register_attack("toy-universal")
@dataclass(frozen=True, kw_only=True)
class Universal(UniversalAttack):
    access = "none"

    def search(self, model, data, *, rng):
        told("crafted")
        return torch.full((1, 8, 8), self.eps)

@register_defense("toy-learned")
@dataclass(frozen=True, kw_only=True)
class Learning(LearnedTransform):
    training_images: int = 20
    needs_model = False
    differentiable = True
    randomized = False

    def learn(self, data, *, rng):
        told("learned")
        return {"mean": data.images.mean(dim=0)}

    def transform(self, x, learned, *, rng):
        return (x + learned["mean"]) / 2
"""


@pytest.mark.slow  # three processes that import everything
def test_two_processes_leave_the_board_of_one_and_make_nothing_twice(
    pytester, run, foolbench, assert_same, monkeypatch
):
    monkeypatch.setenv("FOOLBENCH_CACHE", str(pytester.path / "cache"))
    pytester.makeconftest(SLOW)
    (pytester.path / "shared.toml").write_text(SHARED)
    given = ("-p", "no:cacheprovider", "shared.toml", "-n", "2", "--dist", "each", "--foolbench-out", "out", "-v")
    result = pytester.runpytest_subprocess(*given)  # each: both want every cell
    result.assert_outcomes(passed=12)
    log = (pytester.path / "log.txt").read_text().splitlines()
    assert sorted(line.split()[0] for line in log) == ["crafted", "learned"]
    assert not (pytester.path / "out" / ".locks").exists()
    shared = pd.read_csv(pytester.path / "out" / "leaderboard.csv")
    assert set(shared.status) == {"ok"}
    result = run("shared.toml", "--foolbench-out", "alone")
    result.assert_outcomes(passed=6)
    assert_same(shared, pd.read_csv(pytester.path / "alone" / "leaderboard.csv"))


@pytest.mark.slow  # likewise
def test_processes_split_the_cells(pytester, recipe):
    recipe()
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "tiny.toml", "-n", "2", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines_random(["*gw0*PASSED tiny.toml*", "*gw1*PASSED tiny.toml*", "Written to *tiny*"])
    assert set(pd.read_csv(pytester.path / "runs" / "tiny" / "leaderboard.csv").status) == {"ok"}


@pytest.mark.slow  # three processes that import everything, for a sentence
def test_a_folder_that_another_run_writes_to_is_told_by_the_process_that_hands_out(pytester, recipe):
    from foolbench.evaluation.report.results import Results

    recipe()
    with Results(pytester.path / "out"):
        result = pytester.runpytest_subprocess("tiny.toml", "-n", "1", "--foolbench-out", "out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Another run is writing to" in result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
