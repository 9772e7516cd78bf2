"""What the conformance kit asks for holds on a GPU, too."""

import pytest
from foolbench.core import attacks, defenses
from foolbench.evaluation.conformance import check, named
from foolbench.evaluation.recipe.plugins import load_plugins

QUICK = {
    "autoattack": {"steps": 5, "queries": 40},
    "carlini-wagner": {"searches": 2, "steps": 20},
    "compose": {"steps": [{"name": "gaussian"}, {"name": "jpeg"}]},
    "fab": {"steps": 5},
    "fff": {"max_iterations": 20},
    "gd-uap": {"max_iterations": 20},
    "gd-uap-fff": {"max_iterations": 20},
    "prn": {"training_images": 64, "perturbations": 2, "epochs": 1},
    "rays": {"queries": 60},
    "sea": {"steps": 10},
    "square": {"queries": 40},
    "universal-pgd": {"max_iterations": 20},
}
load_plugins([])


@pytest.mark.parametrize("name", ["fgsm", "pgd", "gaussian", "median", "random-noise", "tv"])
def test_of_a_few(name, device):
    assert not {promise: seen for promise, seen in check(named(name, {}), device).items() if seen}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*attacks, *defenses])
def test_of_all(name, device):
    assert not {promise: seen for promise, seen in check(named(name, QUICK.get(name, {})), device).items() if seen}
