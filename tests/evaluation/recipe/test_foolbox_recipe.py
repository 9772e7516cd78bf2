"""foolbox's attacks in a recipe: a row like any other, and one sentence for whatever is wrong."""

import csv

import pytest

ATTACKS = (
    "attacks=[{name = 'foolbox:L2DeepFoolAttack', norm = 'l2', eps = 2.0, steps = 10},"
    " {name = 'foolbox:LinfPGD', steps = 5}]"
)


def test_they_get_their_rows(foolbench, recipe_file, tmp_path):
    arguments = ("run", recipe_file, "--out", tmp_path / "out", "--device", "cpu", "--set", ATTACKS)
    code, _, err = foolbench(*arguments)
    assert (code, err) == (0, "")
    with (tmp_path / "out" / "leaderboard.csv").open() as file:
        rows = {row["attack"]: row for row in csv.DictReader(file) if row["defense"] == "none"}
    assert set(rows) == {"foolbox:L2DeepFoolAttack", "foolbox:LinfPGD"}
    assert float(rows["foolbox:L2DeepFoolAttack"]["gfr"]) > 0.9
    assert all(float(row["gfr"]) > 0 for row in rows.values())


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        ("{name = 'foolbox:LinfPDG'}", "did you mean 'foolbox:LinfPGD'"),
        ("{name = 'foolbox:LinfPGD', step = 5}", "did you mean 'steps'"),
        ("{name = 'foolbox:L2PGD'}", "works in l2, got norm='linf'"),
        ("{name = 'foolbox:GenAttack'}", "one form"),
    ],
)
def test_what_is_wrong_is_said(foolbench, recipe_file, attack, says):
    code, _, err = foolbench("plan", recipe_file, "--set", f"attacks=[{attack}]")
    assert code == 2
    assert err.count("\n") == 1
    assert says in err
