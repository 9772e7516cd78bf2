"""`foolbench run` says what gates came to, and its exit code whether one has failed."""

import pandas as pd
import pytest
from foolbench.evaluation.leaderboard import scored_rows as scored
from foolbench.evaluation.leaderboard import table
from foolbench.evaluation.leaderboard import verdicts as judged

NOISE = '[[gates]]\nattack = "uniform-noise"\ndefense = "none"\n'
LITTLE = ("--set", "attacks=[{name='uniform-noise'}]", "--set", "defenses=[]", "--device", "cpu")


@pytest.mark.parametrize(
    ("bound", "code", "line"),
    [
        ("gfr_max = 60", 0, "Gate convnet-none-uniform-noise: gfr_max = 60 passed: gfr is 0.0 [0.0, 13.8]"),
        ("gfr_max = 10", 0, "gfr_max = 10 undecided with 24 images, about 35 images would decide: gfr is"),
        ("clean_min = 90", 0, "clean_min = 90 undecided"),
        ("drop_max = 0", 0, "drop_max = 0 passed: drop is 0.0 [0.0, 0.0]"),
    ],
)
def test_gates_are_shown(foolbench, recipe_file, tmp_path, bound, code, line):
    recipe_file.write_text(recipe_file.read_text() + NOISE + bound)
    found, out, _ = foolbench("run", recipe_file, *LITTLE, "--out", tmp_path / "out")
    assert found == code, out
    assert line in out


def test_a_failed_gate_has_an_exit_code_of_its_own(foolbench, recipe_file, tmp_path):
    recipe_file.write_text(recipe_file.read_text() + "[[gates]]\nattack = 'pgd'\nrobust_min = 90\n")
    pgd = ("--set", "attacks=[{name='pgd', steps=3}]", "--set", "defenses=[]", "--device", "cpu")
    code, out, _ = foolbench("run", recipe_file, *pgd, "--out", tmp_path / "out")
    assert code == 3
    assert "Gate convnet-none-pgd: robust_min = 90 failed: robust is " in out


def test_a_gate_and_a_comparison_have_the_flags_of_the_table(foolbench, recipe_file, tmp_path, monkeypatch):
    """PGD that does not move is beaten by a single step; and whatever comes twice is known when all is read."""
    for module in (judged, scored, table):
        monkeypatch.setattr(module, "twice", lambda found: {min(found)})
    recipe_file.write_text(recipe_file.read_text() + "[[gates]]\ngfr_max = 100\n")
    still = "{name='pgd', steps=2, step_size=1e-6, random_start=false, group='all'}"
    chosen = ("--set", f"attacks=[{{name='fgsm', group='all'}}, {still}]", "--set", "defenses=[]", "--device", "cpu")
    _, out, _ = foolbench("run", recipe_file, *chosen, "--out", tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out" / "leaderboard.csv", dtype={"flagged": str})
    assert len(rows) == 3
    assert rows.flagged.str.contains("one-step-beats-iterative").all()
    assert rows.flagged.str.contains("same-result-twice").sum() == 2
    for row in rows.itertuples():
        (line,) = [line for line in out.splitlines() if f"Gate convnet-none-{row.attack}:" in line]
        assert line.endswith(f"(flagged: {row.flagged})")
    told = foolbench("compare", tmp_path / "out", tmp_path / "out")[1]
    assert {"one-step-beats-iterative", "same-result-twice"} <= set(told.replace(":", " ").split())


def test_a_cell_that_failed_passes_no_gate(foolbench, recipe_file, tmp_path, broken_attack):
    recipe_file.write_text(recipe_file.read_text() + "[[gates]]\ngfr_max = 100\n")
    broken = ("--set", "attacks=[{name='toy-broken'}]", "--set", "defenses=[]", "--device", "cpu")
    code, out, _ = foolbench("run", recipe_file, *broken, "--out", tmp_path / "out")
    assert code == 1
    assert "gfr_max = 100 cannot be judged: RuntimeError: no luck today" in out


def test_a_run_with_gates_can_be_verified(foolbench, recipe_file, tmp_path):
    recipe_file.write_text(recipe_file.read_text() + NOISE + "gfr_max = 60")
    foolbench("run", recipe_file, *LITTLE, "--out", tmp_path / "out")
    code, out, err = foolbench("verify", tmp_path / "out", "--all", "--device", "cpu")
    assert (code, "1 of 1 rows hold." in out) == (0, True), out + err
