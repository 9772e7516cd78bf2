"""pytest-benchmark times attacks and defenses, and `foolbench report --speed` makes a table of it."""

import io
import json

import pandas as pd
import pytest

pytest_plugins = "pytester"


def test_speeds_become_a_table(pytester, recipe, run, foolbench):
    recipe()
    quick = ("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "2", "--benchmark-warmup", "off")
    result = run("tiny.toml", "-k", "speed", "--benchmark-json", "speed.json", *quick)
    result.assert_outcomes(passed=4, deselected=4)
    code, out, _ = foolbench("report", "--speed", pytester.path / "speed.json")
    assert code == 0
    table = pd.read_csv(io.StringIO(out[out.index("model,kind") :]))
    assert sorted(zip(table.kind, table.name, strict=True)) == [
        ("attack", "pgd"),
        ("attack", "uniform-noise"),
        ("defense", "bit-depth"),
        ("defense", "none"),
    ]
    assert set(table.images) == {16}
    assert table.images_per_second.to_numpy() == pytest.approx(16 / table.seconds.to_numpy(), rel=0.02)
    measured = json.loads((pytester.path / "speed.json").read_text())["benchmarks"]
    medians = {one["extra_info"]["foolbench"]["name"]: one["stats"]["median"] for one in measured}
    assert dict(zip(table.name, table.seconds, strict=True)) == pytest.approx(medians, abs=1e-6)
    assert json.loads(table.params[list(table.name).index("pgd")])["steps"] == 2


def test_without_a_wish_for_speeds_there_are_no_tests_of_them(recipe, run):
    recipe()
    assert "speed" not in run("tiny.toml", "--collect-only", "-q").stdout.str()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"machine_info": {}, "benchmarks": []}', '{"machine_info": 3}'])
def test_another_file_is_a_sentence(foolbench, tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    code, _, err = foolbench("report", "--speed", path)
    assert code == 2
    assert str(path) in " ".join(err.split())
    assert "Traceback" not in err


def test_a_report_is_of_a_folder_or_of_speeds(foolbench, tmp_path):
    assert foolbench("report")[0] == 2
    assert foolbench("report", tmp_path, "--speed", tmp_path / "f.json")[0] == 2
