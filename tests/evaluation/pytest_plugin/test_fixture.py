"""The fixture gives a test the numbers of `foolbench.evaluate`."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import foolbench as package
import pytest
from foolbench.attacks import PGD
from foolbench.core import ConfigError
from foolbench.datasets import Digits
from foolbench.defenses import MedianSmoothing
from foolbench.evaluation.pytest_plugin.fixture import Foolbench

pytest_plugins = "pytester"
QUICK = {"samples": 16, "eps": "40/255", "device": "cpu"}


@pytest.fixture
def one():
    return Foolbench(SimpleNamespace(user_properties=[]))  # the report of this test is not what it is about


@pytest.mark.parametrize("knowledge", ["oblivious", "adaptive"])
def test_it_is_the_row_of_the_table(one, knowledge):
    attack, defense = PGD(eps="40/255", steps=3), MedianSmoothing()
    found = one.evaluate("digits:convnet", "digits", attack=attack, defense=defense, knowledge=knowledge, **QUICK)
    table = package.evaluate(
        "digits:convnet", "digits", attacks=attack, defenses=defense, knowledge=knowledge, silent=True, **QUICK
    )
    row = table[(table.defense == "median") & (table.knowledge == knowledge)].iloc[0]
    assert found.gfr == (row.gfr, row.gfr_low, row.gfr_high)
    assert found.robust == (row.robust, row.robust_low, row.robust_high)
    assert (found.clean.mean, found.clean_drop, found.floor, found.n) == (row.clean, row.clean_drop, row.floor, 16)


def test_without_a_defense_it_is_the_bare_network_and_of_an_ensemble_the_worst_case(one):
    found = one.evaluate("digits:convnet", "digits", attack="adaptive-ensemble", **QUICK | {"samples": 8})
    assert found.row["attack"] == "adaptive-ensemble"
    assert (found.row["defense"], found.clean_drop) == ("none", 0)
    assert found.gfr.low < found.gfr.mean <= found.gfr.high <= 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attacks": ["pgd"]}, "Expected one attack="),
        ({"knowledge": ["oblivious", "adaptive"]}, r"got \['oblivious', 'adaptive'\]"),
        ({"knowledge": "crossed"}, "got 'crossed'"),
        ({"attack": "uniform-noise", "defense": "median", "knowledge": "adaptive"}, "it cannot be adaptive"),
        ({"eps": None}, "Expected eps="),
    ],
)
def test_what_makes_no_sense_is_a_sentence(one, options, message):
    with pytest.raises(ConfigError, match=message):
        one.evaluate("digits:convnet", "digits", **{"attack": "fgsm"} | QUICK | options)


def test_of_images_without_labels_nothing_is_said_that_nobody_knows(one):
    images, _ = Digits().load(range(16))
    found = one.evaluate("digits:convnet", (images, None), attack="fgsm", **QUICK)
    assert (found.clean, found.robust, found.clean_drop) == (None, None, None)
    ((_, line),) = one._node.user_properties
    assert line.startswith("digits:convnet x fgsm x none, oblivious: gfr ")
    assert not {"nan", "clean", "drop", "robust"} & set(re.findall("[a-z]+", line))


def test_in_a_test_of_somebody(pytester, run, broken):
    pytester.makeconftest(broken)
    pytester.makepyfile(
        """
        QUICK = {"samples": 16, "eps": "40/255", "device": "cpu"}

        def test_holds(foolbench):
            assert foolbench.evaluate("digits:convnet", "digits", attack="uniform-noise", **QUICK).gfr.high < 30

        def test_does_not_hold(foolbench):
            assert foolbench.evaluate("digits:convnet", "digits", attack="pgd", **QUICK).gfr.high < 30

        def test_breaks(foolbench):
            foolbench.evaluate("digits:convnet", "digits", attack="toy-broken", **QUICK)
        """
    )
    result = run("--junitxml", "junit.xml")
    result.assert_outcomes(passed=1, failed=2)
    told = "digits:convnet x uniform-noise x none, oblivious: gfr 0.0 [[]0.0, 19.4]*"
    result.stdout.fnmatch_lines(["E *assert 93.41 < 30", f"test_holds: {told}"])
    result.stdout.fnmatch_lines(["toy-broken on digits:convnet behind none: RuntimeError: no luck today"])
    first = ElementTree.parse(pytester.path / "junit.xml").find(".//property")
    assert (first.get("name"), first.get("value").partition(":")[0]) == ("foolbench", "digits")
