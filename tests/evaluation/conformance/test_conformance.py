"""Every built-in keeps its promises; the kit is reached from the command line and from pytest."""

import pytest
import torch
from foolbench.attacks import UniformNoise
from foolbench.core import ConfigError, UnknownNameError, attacks, defenses
from foolbench.defenses import JPEG
from foolbench.evaluation.conformance import (
    ATTACK_CHECKS,
    DEFENSE_CHECKS,
    check,
    checks_of,
    named,
    parametrize_with_checks,
    prepared,
)
from foolbench.evaluation.recipe.plugins import load_plugins

PARAMETERS = {  # what makes them quick, or possible at all
    "autoattack": {"steps": 5, "queries": 40},
    "carlini-wagner": {"searches": 2, "steps": 20},
    "compose": {"steps": [{"name": "gaussian"}, {"name": "jpeg"}]},
    "fab": {"steps": 5},
    "fff": {"max_iterations": 20},
    "gd-uap": {"max_iterations": 20},
    "square": {"queries": 40},
    "universal-pgd": {"max_iterations": 20},
}
load_plugins([])  # also what only lies in the folders
NAMES = [*attacks, *defenses]


@pytest.mark.parametrize("name", NAMES)
def test_built_ins_keep_their_promises(name):
    found = check(prepared(named(name, PARAMETERS.get(name, {}))))
    assert len(found) in (len(ATTACK_CHECKS), len(DEFENSE_CHECKS))
    assert not {promise: seen for promise, seen in found.items() if seen}


@parametrize_with_checks([JPEG(), UniformNoise(eps="8/255")])
def test_as_pytest_parameters(subject, check):
    assert check in checks_of(subject)
    check.run(subject)


def test_only_attacks_and_defenses_promise_anything():
    with pytest.raises(ConfigError, match="Expected an attack or a defense"):
        check(torch.nn.ReLU())


SOURCE = '''
from dataclasses import dataclass
from foolbench.core import InputTransform

@dataclass(frozen=True, kw_only=True)
class Darker(InputTransform):
    """Darker by a factor."""
    factor: float = 0.5
    differentiable = True
    randomized = False
    def transform(self, x, *, rng):
        return self.factor * x
'''


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "darker.py"
    path.write_text(SOURCE)
    return path


def test_a_class_in_a_file(foolbench, source):
    code, out, err = foolbench("check", f"{source}:Darker")
    assert (code, err) == (0, "")
    assert f"keeps {len(DEFENSE_CHECKS)} of {len(DEFENSE_CHECKS)} promises" in " ".join(out.split())
    code, out, _ = foolbench("check", f"{source}:Darker", "--set", "factor=1.5")
    assert code == 1
    assert "clamp to [0, 1]" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jpg"], "Unknown attack or defense 'jpg': did you mean 'jpeg'"),
        (["{}:Lighter"], "has no class 'Lighter'"),
        (["{}"], "the class as well"),
        (["nowhere.py:Darker"], "found none at nowhere.py"),
        (["jpeg", "--set", "quality=0"], "JPEG quality in 1..100"),
        (["jpeg", "--set", "strength=1"], "Unknown parameter"),
        (["{}:dataclass"], "no class"),
    ],
)
def test_bad_names_are_one_sentence(foolbench, source, arguments, sentence):
    code, _, err = foolbench("check", *(argument.format(source) for argument in arguments))
    assert code == 2
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="pgd"):
        named("pdg", {})
