"""The trust region attack against adv-lib's, at equal norms."""

import importlib.util
from pathlib import Path

import pytest
import torch
from foolbench.attacks import TrustRegion
from foolbench.core.norms import size

IMAGES = 16


@pytest.fixture(scope="module")
def peer():
    """Loaded by itself: the package wants visdom."""
    package = importlib.util.find_spec("adv_lib")
    if package is None:
        pytest.skip("adv-lib is not installed")
    path = Path(package.submodule_search_locations[0]) / "attacks" / "trust_region.py"
    spec = importlib.util.spec_from_file_location("adv_lib_trust_region", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tr


@pytest.mark.parametrize(("norm", "p", "limit"), [("l2", 2, 0.8), ("linf", torch.inf, 1.0)])
def test_trust_region(googlenet, ratio, peer, norm, p, limit):
    model, net, x, y = googlenet.model, googlenet.net, googlenet.x[:IMAGES], googlenet.y[:IMAGES]

    def ours():
        return TrustRegion(norm=norm)(model, x, y)

    def theirs():
        return peer(net, x.clone(), y, adaptive=True, p=p)

    found = [attack() for attack in (ours, theirs)]
    rates = [float((model.predict(adversarial) != y).float().mean()) for adversarial in found]
    norms = [float(size(adversarial - x, norm).mean()) for adversarial in found]
    assert rates[0] >= rates[1] > 0.9
    assert norms[0] <= 1.01 * norms[1]
    ratio(ours, theirs, limit=limit, rounds=3)
