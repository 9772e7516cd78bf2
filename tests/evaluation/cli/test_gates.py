"""`foolbench run` says what gates came to, and its exit code whether one has failed."""

import pytest

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
