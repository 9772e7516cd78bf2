"""pytest-benchmark times attacks and defenses, and `foolbench report --speed` makes a table of it."""

import io
import json

import pandas as pd
import pytest

pytest_plugins = "pytester"


def test_speeds_become_a_table(pytester, recipe, run, foolbench):
    recipe('[[attacks]]\nname = "fgsm"\ntargeted = true\n')
    quick = ("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "2", "--benchmark-warmup", "off")
    result = run("tiny.toml", "-k", "speed", "--benchmark-json", "speed.json", *quick)
    result.assert_outcomes(passed=5, deselected=6)
    code, out, _ = foolbench("report", "--speed", pytester.path / "speed.json")
    assert code == 0
    table = pd.read_csv(io.StringIO(out[out.index("model,kind") :]))
    assert sorted(zip(table.kind, table.name, strict=True)) == [
        ("attack", "fgsm"),
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
    assert foolbench("report", "--speed", pytester.path / "speed.json", "--out", pytester.path / "speeds")[0] == 0
    assert {path.name for path in (pytester.path / "speeds").iterdir()} == {"speed.csv", "speed.html"}
    pd.testing.assert_frame_equal(pd.read_csv(pytester.path / "speeds" / "speed.csv"), table)


UNUSED = ("-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning")
"""That nothing was timed, of what is refused."""
VANDALS = """
from dataclasses import dataclass
from foolbench.core import Attack, ConfigError, InputTransform, register_attack, register_defense

@register_attack("vandal")
@dataclass(frozen=True, kw_only=True)
class Vandal(Attack):
    access = "score"

    def perturb(self, model, x, y, *, rng):
        for weights in model.net.parameters():
            weights.data.zero_()
        return x

@register_defense("refusing")
@dataclass(frozen=True, kw_only=True)
class Refusing(InputTransform):
    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        raise ConfigError("It takes no such images.")
"""


def test_who_changes_a_network_is_blamed_and_no_other_and_what_is_refused_is_a_sentence(pytester, recipe, run):
    pytester.makeconftest(VANDALS)
    recipe('[[attacks]]\nname = "vandal"\n[[attacks]]\nname = "fgsm"\n[[defenses]]\nname = "refusing"\n')
    quick = ("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "2", "--benchmark-warmup", "off")
    result = run("tiny.toml", "-k", "speed or fgsm and none", "--benchmark-json", "speed.json", *quick, *UNUSED)
    result.stdout.fnmatch_lines(["vandal has changed digits:convnet."])
    result.stdout.fnmatch_lines(["It takes no such images."])
    result.stdout.no_fnmatch_line("*speed.py:*")
    result.stdout.no_fnmatch_line("*During handling*")
    result.assert_outcomes(passed=6, failed=2, deselected=11)


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


ROW = {"model": "net", "kind": "attack", "name": "pgd", "params": "{}", "norm": "linf", "eps": 0.1, "images": 8}
TIMES = {"median": 0.5, "q1": 0.4, "q3": 0.6, "rounds": 3}


@pytest.mark.parametrize(
    ("facts", "stats", "refused"),
    [
        ({}, {}, False),
        ({"kind": "defense", "eps": None}, {"median": 1e-8}, False),
        ({"eps": None}, {}, True),
        ({"eps": "much"}, {}, True),
        ({"params": "[]"}, {}, True),
        ({"params": "{"}, {}, True),
        ({"kind": "nonsense"}, {}, True),
        ({"images": 0}, {}, True),
        ({}, {"median": 0.0}, True),
        ({}, {"median": float("nan")}, True),
    ],
)
def test_what_nothing_can_have_measured_is_a_sentence(foolbench, tmp_path, facts, stats, refused):
    one = {"extra_info": {"foolbench": ROW | {"device": "cpu"} | facts}, "stats": TIMES | stats}
    path = tmp_path / "speed.json"
    path.write_text(json.dumps({"machine_info": {}, "benchmarks": [one]}))
    code, _, err = foolbench("report", "--speed", path, "--out", tmp_path / "out")
    assert "Traceback" not in err
    assert code == (2 if refused else 0)
    assert (tmp_path / "out" / "speed.html").exists() != refused


def test_a_report_is_of_a_folder_or_of_speeds(foolbench, tmp_path):
    assert foolbench("report")[0] == 2
    assert foolbench("report", tmp_path, "--speed", tmp_path / "f.json")[0] == 2
    for ignored in (("--format", "html"), ("--images",)):
        assert foolbench("report", "--speed", tmp_path / "f.json", *ignored)[0] == 2
