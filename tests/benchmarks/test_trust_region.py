"""The trust region attack against adv-lib's, at equal norms."""

import pytest
import torch
from foolbench.attacks import TrustRegion
from foolbench.core.norms import size

IMAGES = 16


@pytest.mark.parametrize(("norm", "p", "limit"), [("l2", 2, 0.8), ("linf", torch.inf, 1.0)])
def test_trust_region(googlenet, ratio, adv_lib, norm, p, limit):
    model, net, x, y = googlenet.model, googlenet.net, googlenet.x[:IMAGES], googlenet.y[:IMAGES]

    def ours():
        return TrustRegion(norm=norm)(model, x, y)

    def theirs():
        return adv_lib("trust_region").tr(net, x.clone(), y, adaptive=True, p=p)

    found = [attack() for attack in (ours, theirs)]
    rates = [float((model.predict(adversarial) != y).float().mean()) for adversarial in found]
    norms = [float(size(adversarial - x, norm).mean()) for adversarial in found]
    assert rates[0] >= rates[1] > 0.9
    assert norms[0] <= 1.01 * norms[1]
    ratio(ours, theirs, limit=limit, rounds=3)
