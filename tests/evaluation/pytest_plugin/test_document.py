"""What docs/pytest.md shows works as it stands there."""

import re
from pathlib import Path

pytest_plugins = "pytester"
PAGE = (Path(__file__).parents[3] / "docs" / "pytest.md").read_text()


def block(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_test_of_the_page_passes(pytester, run):
    (program,) = block("python")
    pytester.makepyfile(test_mine=program)
    run().assert_outcomes(passed=1)


def test_the_gates_of_the_page_are_gates(pytester, recipe, run, tiny):
    (gates,) = block("toml")
    recipe(text=tiny.replace("bit-depth", "jpeg"))
    (pytester.path / "tiny.gates.toml").write_text(gates)
    result = run("tiny.toml", "-k", "jpeg-pgd")
    for bound in ("gfr_max = 30", "drop_max = 2", "clean_min = 70", "robust_min = 20"):
        assert f"convnet-jpeg-pgd: {bound} " in result.stdout.str()


def test_every_option_is_in_the_page_or_in_the_help(run):
    told = run("--help").stdout.str()
    options = set(re.findall(r"--foolbench[\w-]*", told))
    assert options == {"--foolbench", "--foolbench-out", "--foolbench-set", "--foolbench-baseline"}
    assert all(option in PAGE for option in options)
