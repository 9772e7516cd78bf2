"""Which rows `foolbench verify` takes, of what, and what it refuses."""

import json
import shutil
from dataclasses import replace

import pytest
from foolbench.attacks import FGSM
from foolbench.evaluation.cli.verify import chosen
from foolbench.evaluation.report.claims import read_claims

FAST = ("samples=12", "attacks=[{name='fgsm'}]", "defenses=[{name='median'}]")


def test_a_table_alone_is_verified_with_its_recipe(execute, verify, recipe_file, tmp_path):
    execute("run", *FAST)
    table = tmp_path / "published.csv"
    shutil.copy(tmp_path / "run" / "leaderboard.csv", table)
    settings = [part for setting in FAST for part in ("--set", setting)]
    code, out = verify("--all", "--recipe", recipe_file, *settings, of=table)
    assert code == 0, out
    assert out.count("every rate to the digit") == 2
    assert "is another now" not in out
    code, out = verify("--all", "--recipe", "quickstart", of=table)
    assert code == 1
    assert "has no network 'digits:convnet'." in out


def test_rows_are_chosen_by_a_stated_seed(execute, verify, monkeypatch):
    execute("out", "samples=6", "attacks=[{name='fgsm'}, {name='uniform-noise'}]")
    usual = verify()[1]
    assert usual.startswith("3 of 6 rows, by --seed ")
    assert usual.count("\nrow ") == 3
    seed = usual.partition("--seed ")[2].partition(".")[0]
    assert verify("--sample", 3, "--seed", seed)[1] == usual
    assert "6 of 6 rows hold." in verify("--sample", 99)[1]


def test_seeds_choose_different_rows_each_of_them_once(execute, tmp_path):
    execute("out", *FAST)
    claims = read_claims(tmp_path / "out", None)
    claims = replace(claims, rows=claims.rows * 20)
    found = [tuple(chosen(claims, [], everything=False, sample=20, seed=seed)) for seed in (0, 1, None, None)]
    assert len(set(found)) == 4
    assert all(len(set(rows)) == 20 and set(rows) <= set(range(1, 41)) for rows in found)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--row", 3], "Expected --row from 1 to 2"),
        (["--row", 1, "--row", 0], "got 0"),
        (["--row", -1], "got -1"),
        (["--row", 1, "--all"], "one of --row, --all and --sample"),
        (["--sample", 1, "--all"], "one of --row, --all and --sample"),
        (["--recipe", "quickstart"], "no --recipe with the folder of a run"),
        (["--set", "samples=3"], "--set beside --recipe"),
        (["--device", "nonsense"], "nonsense"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(execute, verify, arguments, says):
    execute("out", *FAST)
    code, err = verify(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


def test_what_is_no_run_and_no_table_is_refused(execute, verify, tmp_path):
    execute("out", *FAST)
    table = tmp_path / "out" / "leaderboard.csv"
    recipe = ("--recipe", tmp_path / "recipe.toml")
    for file, arguments, says in (
        (tmp_path / "nowhere", (), "found none at"),
        (tmp_path, (), "manifest.json"),
        (table, (), "Expected --recipe NAME or FILE.toml"),
        (tmp_path / "recipe.toml", recipe, "Expected a leaderboard.csv"),
    ):
        code, err = verify(*arguments, of=file)
        assert (code, err.count("\n")) == (2, 1)
        assert says in err
    lines = table.read_text().splitlines()
    table.write_text(lines[0] + "\n")
    assert "it has no rows" in verify()[1]
    table.write_text("\n".join(lines).replace("crafted", "drafted", 1))
    assert "lacks the column 'crafted'" in verify()[1]
    table.unlink()
    assert "leaderboard.csv" in verify()[1]


def test_a_damaged_manifest_is_refused(execute, verify, tmp_path):
    execute("out", *FAST)
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"commit": "another"}))
    code, err = verify("--row", 1)
    assert (code, err.count("\n")) == (2, 1)
    assert "not what a run has written" in err


def test_broken_off_it_ends_as_a_run_does(execute, verify, monkeypatch):
    execute("out", *FAST)

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(FGSM, "perturb", interrupt)
    code, out = verify("--row", 1)
    assert code == 130
    assert "Interrupted." in out
    assert "hold." not in out
