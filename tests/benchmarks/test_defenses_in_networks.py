"""Defenses in and after the network against the network alone."""

import pytest
import torch
from foolbench.datasets import Scenes
from foolbench.defenses import KWTA, REGroup, adaptive
from foolbench.models import ENTRIES


@pytest.fixture
def images():
    return Scenes().load(range(8))[0]


def loss_gradient(system, images):
    points = images.clone().requires_grad_()
    return torch.autograd.grad(system.logits(points).logsumexp(dim=1).sum(), points)[0]


@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:resnet"])
@pytest.mark.parametrize(("scope", "limit"), [("layer", 1.3), ("channel", 1.5)])
def test_k_wta(ratio, images, scope, limit, name):
    """Forward and back, along its own slope: what naive attacks and training take."""
    plain = ENTRIES[name].load()
    system = KWTA(scope=scope).defend(plain)
    ratio(lambda: loss_gradient(system, images), lambda: loss_gradient(plain, images), limit=limit, rounds=25)


@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:resnet"])
@pytest.mark.parametrize("scope", ["layer", "channel"])
def test_k_wta_smooth(ratio, images, scope, name):
    """The same along the slope that an adaptive attack follows."""
    plain = ENTRIES[name].load()
    system = adaptive(KWTA(scope=scope), plain)
    ratio(lambda: loss_gradient(system, images), lambda: loss_gradient(plain, images), limit=1.6, rounds=25)


@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:vgg16"])
def test_regroup(ratio, images, name):
    plain = ENTRIES[name].load()
    system = REGroup().fit(images, model=plain).defend(plain)
    ratio(lambda: system.predict(images), lambda: plain.predict(images), limit=2.0, rounds=7)
