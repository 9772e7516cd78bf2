"""The command line: exit codes, one-sentence errors, machine-readable lists."""

import csv
import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from foolbench.attacks import PGD
from foolbench.evaluation.recipe.plugins import REGISTRIES

FAST = ("--device", "cpu", "--set", "attacks=[{name='fgsm'}]")


def one_sentence(err):
    assert err.startswith("foolbench: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_a_good_run_ends_with_0_and_a_table(foolbench, recipe_file, tmp_path):
    code, out, err = foolbench("run", recipe_file, "--out", tmp_path / "out", *FAST)
    assert (code, err) == (0, "")
    assert "median" in out
    assert "fgsm" in out
    with (tmp_path / "out" / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["defense"] for row in rows] == ["none", "bit-depth", "median"]


def test_a_failed_cell_ends_with_1(foolbench, recipe_file, tmp_path):
    too_large = "defenses=[{name='gaussian', sigma=5.0}]"  # needs images of more than 15 pixels
    code, out, err = foolbench("run", recipe_file, "--out", tmp_path / "out", *FAST, "--set", too_large)
    assert code == 1
    assert "1 of 2 cells failed" in out
    assert "gaussian" in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "quikstart"], "quickstart"),
        (["run", "nowhere.toml"], "nowhere.toml"),
        (["plan", "quikstart"], "quickstart"),
        (["run", "RECIPE", "--set", "sampels=3"], "samples"),
        (["run", "RECIPE", "--set", "samples"], "KEY=VALUE"),
        (["run", "RECIPE", "--set", "threat.eps=-8/255"], "eps > 0"),
        (["run", "RECIPE", "--set", "samples=100000"], "512"),
        (["run", "RECIPE", "--device", "nonsense"], "nonsense"),
        (["run", "RECIPE", "--device", "cpu", "--out", "FILE"], "file"),
        (["run", "RECIPE", "--device", "cpu", "--out", "FILE/below"], "below"),
        (["run", "RECIPE", "--plugin", "nowhere.py"], "nowhere.py"),
        (["report", "EMPTY"], "manifest.json"),
        (["train", "digits:confnet"], "digits:convnet"),
        (["describe", "pdg"], "pgd"),
        (["describe", "PGD"], "did you mean 'pgd'"),
        (["run", "RECIPE", "--set", "threat.eps=8"], "n/255?"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_bad_input_ends_with_2_and_one_sentence(foolbench, recipe_file, tmp_path, arguments, says):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "empty").mkdir()
    places = {"RECIPE": recipe_file, "FILE": tmp_path / "file", "FILE/below": tmp_path / "file" / "below"}
    places["EMPTY"] = tmp_path / "empty"
    code, _, err = foolbench(*(places.get(argument, argument) for argument in arguments))
    assert code == 2
    assert says in one_sentence(err)


@pytest.mark.parametrize(
    "arguments", [["run"], ["list", "colours"], ["report", "nowhere"], ["run", "quickstart", "--colour"], ["dance"]]
)
def test_bad_usage_ends_with_2_without_a_traceback(foolbench, arguments):
    code, out, err = foolbench(*arguments)
    assert code == 2
    assert "Traceback" not in out + err


def test_the_installed_command_has_the_same_manners(tmp_path, recipe_file):
    command = Path(sys.executable).with_name("foolbench")
    done = subprocess.run([command, "run", recipe_file, "--set", "sampels=3"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "did you mean 'samples'" in one_sentence(done.stderr)
    assert done.stdout == ""


def test_not_finding_a_folder_leaves_nothing_behind(foolbench, tmp_path):
    (tmp_path / "mine").mkdir()
    foolbench("report", tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("attacks", {"uniform-noise", "fgsm", "pgd", "gd-uap"}),
        ("defenses", {"jpeg", "bit-depth", "median", "gaussian"}),
        ("models", {"digits:convnet", "scenes:caffenet", "scenes:resnet"}),
        ("datasets", {"digits", "scenes"}),
        ("recipes", {"quickstart"}),
    ],
)
def test_lists_are_json_and_tables(foolbench, kind, some):
    code, out, _ = foolbench("list", kind, "--json")
    entries = json.loads(out)
    assert code == 0
    assert some <= set(entries)
    assert all(text and "\n" not in text for text in entries.values())
    code, out, _ = foolbench("list", kind)
    assert code == 0
    assert all(name in out for name in some)


def test_descriptions_of_models_say_which_model_it_is(foolbench):
    entries = json.loads(foolbench("list", "models", "--json")[1])
    assert len(set(entries.values())) == len(entries)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "pgd",
            ["2.5 eps / steps", "Norms: linf, l2, l1.", "\n    eps\n", '\n    norm = "linf"\n', "\n    steps = 40\n"],
        ),
        ("jsma", ["changed values"]),
        ("gd-uap", ["less-background, those with"]),
        ("pgd", ["what eps bounds", "it reaches for a class", "rng is a seed"]),
        ("jpeg", ["baseline JPEG file", "\n    quality = 75"]),
        ("digits:convnet", ["trained on digits", "Task: Recognition(classes=10)", "Images: 1 x 8 x 8"]),
        ("digits", ["handwritten digits", "Evaluation images: 512", "Fingerprint: "]),
        (
            "quickstart",
            ["Data: scenes, 180 images", "Models: scenes:caffenet, scenes:googlenet", "Knowledge: oblivious"],
        ),
        ("autoattack", ["Four attacks", "\n    eps\n"]),
        ("foolbox:DDNAttack", ["Decoupled Direction and Norm", "\n    gamma = 0.05\n"]),
        (f"{Path(__file__).parents[3]}/examples/box-blur/box_blur.py:BoxBlur", ["Mean", "\n    size = 3\n"]),
    ],
)
def test_describe_says_what_it_does_and_takes(foolbench, name, says):
    code, out, _ = foolbench("describe", name)
    assert code == 0
    assert [part for part in says if part not in out] == []


def test_describe_says_of_a_recipe_what_set_makes_of_it(foolbench):
    code, out, _ = foolbench("describe", "quickstart", "--set", "samples=5")
    assert code == 0
    assert "Data: scenes, 5 images" in out
    code, _, err = foolbench("describe", "quickstart", "--set", "sample=5")
    assert code == 2
    assert "samples" in err


def test_plan_shows_the_grid_and_runs_nothing(foolbench, recipe_file, tmp_path):
    code, out, _ = foolbench("plan", recipe_file, "--set", "samples=10")
    assert code == 0
    assert "9 cells, 90 scored images" in out
    assert "PGD(" in out
    assert "BitDepth(" in out
    assert {path.name for path in tmp_path.iterdir()} == {recipe_file.name, "cache"}
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["rates"]


def test_report_makes_the_tables_anew(foolbench, recipe_file, tmp_path):
    foolbench("run", recipe_file, "--out", tmp_path / "out", *FAST)
    before = {name: (tmp_path / "out" / name).read_text() for name in ("leaderboard.csv", "leaderboard.md")}
    for name in before:
        (tmp_path / "out" / name).unlink()
    code, out, err = foolbench("report", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "median" in out
    assert {name: (tmp_path / "out" / name).read_text() for name in before} == before


def test_an_interrupted_run_leaves_a_table_of_what_is_finished(foolbench, recipe_file, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(PGD, "perturb", interrupt)
    code, out, _ = foolbench("run", recipe_file, "--out", tmp_path / "out")
    assert code == 130
    assert "Interrupted" in out
    table = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    done = table.set_index("attack").status
    assert set(done["uniform-noise"]) == {"ok"}
    assert set(done["pgd"]) == {"pending"}
    assert set(table[table.attack == "pgd"].error) == {"not run yet"}
    assert (tmp_path / "out" / "manifest.json").exists()
    code, out, _ = foolbench("report", tmp_path / "out")
    assert code == 0
    assert "uniform-noise" in out


def test_version(foolbench):
    code, out, _ = foolbench("--version")
    assert (code, out.strip()) == (0, version("foolbench"))


def test_a_run_says_when_a_cell_is_finished(foolbench, recipe_file, tmp_path):
    _, out, _ = foolbench("run", recipe_file, "--out", tmp_path / "m[/b]x", *FAST)
    assert [line.partition("  ")[0] for line in out.splitlines()[:3]] == [
        f"digits:convnet x fgsm x {defense}, oblivious" for defense in ("none", "bit-depth", "median")
    ]
    assert "m[/b]x" in out


def test_a_shell_can_complete_it():
    undetected = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # whatever shell runs the tests
    command = [sys.executable, "-m", "foolbench", "--show-completion", "bash"]
    done = subprocess.run(command, env=undetected, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "complete -o default" in done.stdout


@pytest.mark.parametrize(("registry", "name"), [(r, name) for r in ("attacks", "defenses") for name in REGISTRIES[r]])
def test_signatures_show_no_functions(registry, name):
    assert "<function" not in str(inspect.signature(REGISTRIES[registry][name]))


def test_a_closed_standard_output():
    command = f"{sys.executable} -m foolbench list attacks >&-"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
