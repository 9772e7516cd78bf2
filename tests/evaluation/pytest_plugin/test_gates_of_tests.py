"""Gates fail the tests of cells when the data say so, and are seen where these cannot say."""

from xml.etree import ElementTree

import pytest

pytest_plugins = "pytester"
NOISE = '[[gates]]\nattack = "uniform-noise"\ndefense = "none"\n'
ONE = ("-k", "none-uniform", "--junitxml", "junit.xml", "-v")


@pytest.mark.parametrize(
    ("bound", "outcome", "line"),
    [
        ("gfr_max = 60", {"passed": 1}, "PASSED"),  # 0 of 16: [0, 19.4]
        ("gfr_max = 10", {}, "UNDECIDED"),
        ("robust_min = 90", {}, "UNDECIDED"),
        ("clean_min = 50", {"passed": 1}, "PASSED"),
        ("drop_max = 0", {"passed": 1}, "PASSED"),  # it is the bare network itself
    ],
)
def test_three_outcomes(recipe, run, bound, outcome, line):
    recipe(NOISE + bound)
    result = run("tiny.toml", *ONE)
    result.assert_outcomes(**outcome, deselected=3)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [f"*none-uniform-noise {line}*", f"convnet-none-uniform-noise: {bound} {line.lower()}*"]
    )


def test_a_gate_that_is_not_passed_is_a_failure(pytester, recipe, run):
    recipe('[[gates]]\nattack = "pgd"\ngfr_max = 5\n')
    result = run("tiny.toml", "-k", "none", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    result.stdout.fnmatch_lines(["*convnet-none-pgd*", "gfr_max = 5 failed: gfr is *", "gfr * (top1, n = 16*"])
    (failure,) = ElementTree.parse(pytester.path / "junit.xml").findall(".//failure")
    assert failure.get("message").startswith("gfr_max = 5 failed")


def test_a_gate_knows_what_the_attacks_before_it_say_against_a_row(recipe, run, tiny):
    """PGD that does not move is beaten by a single step; what comes later is not known yet."""
    still = 'name = "pgd"\nstep_size = 1e-6\nrandom_start = false'
    recipe('[[attacks]]\nname = "fgsm"\n[[gates]]\ngfr_max = 100\n', text=tiny.replace('name = "pgd"', still))
    result = run("tiny.toml", "-v", "-k", "none", "-rA")
    result.assert_outcomes(passed=3, deselected=3)
    result.stdout.fnmatch_lines(["*flagged: *one-step-beats-iterative*"])


def test_undecided_is_counted_told_and_has_the_number_of_images_that_would_decide(pytester, recipe, run):
    recipe(NOISE + "gfr_max = 10\n")
    result = run("tiny.toml", *ONE)
    result.stdout.fnmatch_lines(["*undecided with 16 images, about 35 images would decide*", "*1 undecided*"])
    (skipped,) = ElementTree.parse(pytester.path / "junit.xml").findall(".//skipped")
    assert "would decide" in skipped.get("message")


def test_what_a_defense_costs_is_known_where_its_test_runs_alone(recipe, run):
    recipe('[[gates]]\ndefense = "bit-depth"\ndrop_max = 60\n')
    run("tiny.toml", "-k", "bit-depth-pgd").assert_outcomes(passed=1, deselected=3)


def test_a_gate_on_a_cell_that_fails_is_an_error(pytester, recipe, run, broken):
    pytester.makeconftest(broken)
    recipe('[[attacks]]\nname = "toy-broken"\n[[gates]]\nattack = "toy-broken"\ngfr_max = 100\n')
    run("tiny.toml", "-k", "none-toy-broken").assert_outcomes(errors=1, deselected=5)


def test_a_gate_for_no_row_stops_the_collection(recipe, run):
    recipe('[[gates]]\nattack = "pdg"\ngfr_max = 5\n')
    result = run("tiny.toml")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "Unknown attack in a gate: 'pdg': did you mean 'pgd'?" in result.stdout.str()
