"""Each cell of a recipe is a test, by the engine that `foolbench run` has."""

from xml.etree import ElementTree

import pandas as pd
import pytest
from foolbench.evaluation.cli import main as cli

pytest_plugins = "pytester"
NAMES = [
    *("convnet-none-uniform-noise", "convnet-bit-depth-uniform-noise"),
    *("convnet-none-pgd", "convnet-bit-depth-pgd"),
]


def test_each_cell_is_a_test_with_its_numbers(pytester, recipe, run, foolbench, assert_same):
    path = recipe()
    result = run("--foolbench", path, "--junitxml", "junit.xml", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"tiny.toml::{name} PASSED*" for name in NAMES])
    result.stdout.fnmatch_lines(
        ["digits:convnet: top1 in percent, n = 16*", "*uniform-noise*pgd*", "Written to *tiny*"]
    )
    table = pd.read_csv(pytester.path / "runs" / "tiny" / "leaderboard.csv")
    cases = ElementTree.parse(pytester.path / "junit.xml").findall(".//testcase")
    assert [case.get("name") for case in cases] == NAMES
    rows = table.sort_values("attack", ascending=False, kind="stable").to_dict("records")
    for case, row in zip(cases, rows, strict=True):
        told = {one.get("name"): one.get("value") for one in case.findall(".//property")}
        assert {name: float(told[name]) for name in ("n", "gfr", "gfr_low", "gfr_high", "clean", "robust")} == {
            name: row[name] for name in ("n", "gfr", "gfr_low", "gfr_high", "clean", "robust")
        }
    assert foolbench("run", path, "--out", pytester.path / "plain")[0] == 0
    assert_same(table, pd.read_csv(pytester.path / "plain" / "leaderboard.csv"))


def test_a_selection_runs_alone_and_is_not_run_again(pytester, recipe, run):
    recipe()
    csv = pytester.path / "out" / "leaderboard.csv"
    run("tiny.toml", "-k", "bit-depth and pgd", "--foolbench-out", "out").assert_outcomes(passed=1, deselected=3)
    first = pd.read_csv(csv).set_index(["defense", "attack"])
    assert first.status.value_counts().to_dict() == {"pending": 3, "ok": 1}
    run("tiny.toml::convnet-none-pgd", "--foolbench-out", "out").assert_outcomes(passed=1)
    run("tiny.toml", "--foolbench-out", "out").assert_outcomes(passed=4)
    second = pd.read_csv(csv).set_index(["defense", "attack"])
    assert set(second.status) == {"ok"}
    assert (
        second.seconds["bit-depth", "pgd"] == first.seconds["bit-depth", "pgd"]
    )  # of the microsecond it was crafted in


def test_overrides_are_those_of_the_command_line(pytester, recipe, run):
    recipe()
    given = ("--foolbench-set", "attacks=[{name='fgsm'}]", "--foolbench-set", "samples=8")
    run("--foolbench", "tiny.toml", *given).assert_outcomes(passed=2)
    table = pd.read_csv(pytester.path / "runs" / "tiny" / "leaderboard.csv")
    assert (set(table.n), set(table.attack)) == ({8}, {"fgsm"})
    assert "samples=8" in table.recipe[0]


def test_the_worst_case_of_a_group_is_a_test_too(recipe, run, tiny):
    recipe(text=tiny.replace('noise"', 'noise"\ngroup = "all"').replace('pgd"', 'pgd"\ngroup = "all"'))
    result = run("tiny.toml", "-k", "none-all", "-v")
    result.assert_outcomes(passed=1, deselected=5)
    result.stdout.fnmatch_lines(["tiny.toml::convnet-none-all PASSED*"])


def test_a_cell_that_fails_is_an_error_with_its_message(pytester, recipe, run, broken):
    pytester.makeconftest(broken)
    recipe('[[attacks]]\nname = "toy-broken"\n')
    result = run("tiny.toml", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=4, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ERROR at setup of convnet-none-toy-broken*", "RuntimeError: no luck today"])
    assert "Traceback" not in result.stdout.str()
    told = [one.get("message") for one in ElementTree.parse(pytester.path / "junit.xml").findall(".//error")]
    assert len(told) == 2
    assert all("no luck today" in message for message in told)
    table = pd.read_csv(pytester.path / "runs" / "tiny" / "leaderboard.csv")
    assert table.set_index("attack").error["toy-broken"].tolist() == ["RuntimeError: no luck today"] * 2


@pytest.mark.parametrize(
    ("more", "arguments", "sentence"),
    [
        ("samplse = 3\n", ["tiny.toml"], "did you mean 'samples'"),
        ("[[", ["tiny.toml"], "Expected a TOML recipe"),
        ("", ["--foolbench", "quickstat"], "Unknown recipe 'quickstat': did you mean 'quickstart'"),
        ("", ["--foolbench", "gone.toml"], "found no file"),
    ],
)
def test_a_mistake_is_a_sentence(recipe, run, tiny, more, arguments, sentence):
    recipe(text=more + tiny)
    result = run(*arguments)
    assert result.ret in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    told = result.stdout.str() + result.stderr.str()
    assert sentence in told
    assert "Traceback" not in told


def test_a_network_that_cannot_be_loaded_is_the_error_of_every_cell(pytester, recipe, run, tiny):
    (pytester.path / "net.py").write_text("def net():\n    raise RuntimeError('no weights here')\n")
    recipe(text=tiny.replace("digits:convnet", "net.py:net"))
    result = run("tiny.toml")
    result.assert_outcomes(errors=4)
    assert result.stdout.str().count("RuntimeError: no weights here") >= 4
    assert "Traceback" not in result.stdout.str()


def test_a_folder_that_another_run_writes_to_is_left_alone(pytester, recipe, run):
    from foolbench.evaluation.report.results import Results

    recipe()
    with Results(pytester.path / "out"):
        result = run("tiny.toml", "--foolbench-out", "out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Another run is writing to*"])


def test_two_recipes_have_two_folders(pytester, recipe, run, tiny):
    recipe()
    (pytester.path / "other.toml").write_text(tiny)
    result = run("tiny.toml", "other.toml", "--collect-only")
    assert "two would write to" in result.stdout.str()


def test_recipes_are_collected_where_they_are_named(pytester, recipe, run, tiny):
    folder = pytester.mkdir("checks")
    (folder / "robust.toml").write_text(tiny)
    (folder / "settings.toml").write_text("[attacks]\n")
    pytester.makepyfile(test_mine="def test_mine(): pass")
    pytester.makeini("[pytest]\ntestpaths = . checks/robust.toml\n")
    result = run("--collect-only", "-q")
    assert [line.partition("::")[0] for line in result.outlines if "::" in line] == ["checks/robust.toml"] * 4 + [
        "test_mine.py"
    ]
    assert "::" not in run("checks", "--collect-only", "-q").stdout.str()  # a folder may hold what takes hours
    other = run("checks/settings.toml")
    assert "checks/settings.toml" in other.stderr.str()
    assert other.ret == pytest.ExitCode.USAGE_ERROR


def test_an_idle_plugin_imports_nothing(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_idle(pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("foolbench")
            ours = {name for name in sys.modules if name.startswith("foolbench")}
            heavy = {"torch", "numpy", "pandas", "scipy", "pydantic", "rich", "cv2"} & set(sys.modules)
            assert heavy == set()
            assert {name.removeprefix("foolbench.") for name in ours} <= {
                "foolbench", "evaluation", "evaluation.pytest_plugin", "evaluation.pytest_plugin.plugin"
            }
        """
    )
    (pytester.path / "pyproject.toml").write_text("[tool.other]\n[[attacks]]\n")
    result = pytester.runpytest_subprocess("-W", "error", "-p", "no:benchmark")
    result.assert_outcomes(passed=1)


def test_what_was_typed_stands_in_the_manifest(pytester, recipe, run, monkeypatch):
    import json

    monkeypatch.setattr(cli.sys, "argv", ["pytest", "tiny.toml"])
    recipe()
    run("tiny.toml", "-k", "none-uniform")
    assert json.loads((pytester.path / "runs" / "tiny" / "manifest.json").read_text())["command"] == [
        "pytest",
        "tiny.toml",
    ]
