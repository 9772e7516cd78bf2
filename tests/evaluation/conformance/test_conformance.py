"""Every built-in keeps its promises; the kit is reached from the command line and from pytest."""

import pytest
import torch
from foolbench.attacks import UniformNoise
from foolbench.core import ConfigError, UnknownNameError, attacks, datasets, defenses, models
from foolbench.defenses import JPEG
from foolbench.evaluation.conformance import (
    DEFENSE_CHECKS,
    check,
    checks_of,
    named,
    parametrize_with_checks,
)
from foolbench.evaluation.recipe.plugins import load_plugins

PARAMETERS = {  # what makes them quick, or possible at all
    "autoattack": {"steps": 5, "queries": 40},
    "carlini-wagner": {"searches": 2, "steps": 20},
    "compose": {"steps": [{"name": "gaussian"}, {"name": "jpeg"}]},
    "fab": {"steps": 5},
    "fff": {"max_iterations": 20},
    "gd-uap": {"max_iterations": 20},
    "prn": {"training_images": 64, "perturbations": 2, "epochs": 1},
    "rays": {"queries": 60},
    "sea": {"steps": 10},
    "square": {"queries": 40},
    "universal-pgd": {"max_iterations": 20},
}
load_plugins([])  # also what only lies in the folders
NAMES = [*attacks, *defenses, *models, *datasets]


@pytest.mark.parametrize("name", NAMES)
def test_built_ins_keep_their_promises(name):
    subject = named(name, PARAMETERS.get(name, {}))
    found = check(subject)
    assert {str(one) for one in checks_of(subject)} <= set(found)
    assert not {promise: seen for promise, seen in found.items() if seen}


@parametrize_with_checks([JPEG(), UniformNoise(eps="8/255")])
def test_as_pytest_parameters(subject, check):
    assert check in checks_of(subject)
    check.run(subject)


def test_nothing_else_promises_anything():
    with pytest.raises(ConfigError, match="Expected an attack, a defense, a model or a data set"):
        check(torch.nn.ReLU())


SOURCE = '''
from dataclasses import dataclass
from foolbench.core import InputTransform, register_defense

@register_defense("darker")
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
    assert f"keeps {1 + len(DEFENSE_CHECKS)} of {1 + len(DEFENSE_CHECKS)} promises" in " ".join(out.split())
    code, out, _ = foolbench("check", f"{source}:Darker", "--set", "factor=1.5")
    assert code == 1
    assert "clamp to [0, 1]" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jpg"], "Unknown attack, defense, model or data set 'jpg': did you mean 'jpeg'"),
        (["scenes:cafenet"], "did you mean 'scenes:caffenet'"),
        (["digits", "--set", "size=3"], "digits takes no parameters, got size"),
        (["{}:Lighter"], "has no class, function, model or data set 'Lighter'"),
        (["{}"], "the name in it as well"),
        (["nowhere.py:Darker"], "found none at nowhere.py"),
        (["jpeg", "--set", "quality=0"], "JPEG quality in 1..100"),
        (["jpeg", "--set", "strength=1"], "Unknown parameter"),
        (["{}:dataclass"], "to be an attack, a defense, a model or a data set"),
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


def test_a_class_without_its_decorator_is_unregistered(foolbench, source):
    source.write_text(SOURCE.replace('@register_defense("darker")', ""))
    code, out, _ = foolbench("check", f"{source}:Darker")
    assert code == 1
    assert "put @register_defense" in out
