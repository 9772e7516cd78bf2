"""What the conformance kit asks for holds on a GPU, too."""

import pytest
from foolbench.core import attacks, defenses
from foolbench.evaluation.conformance import check, named
from foolbench.evaluation.recipe.plugins import load_plugins

load_plugins([])


@pytest.mark.parametrize("name", ["fgsm", "pgd", "gaussian", "median", "random-noise", "tv"])
def test_of_a_few(name, device):
    assert not {promise: seen for promise, seen in check(named(name, {}), device).items() if seen}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*attacks, *defenses])
def test_of_all(name, quick, device):
    assert not {promise: seen for promise, seen in check(named(name, quick(name)), device).items() if seen}
