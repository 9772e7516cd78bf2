"""An attack's iteration against the bare forward pass and input gradient that it cannot do without."""

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.attacks.universal._features import FeatureAscent
from foolbench.core import Draws
from foolbench.models import ENTRIES

NETWORKS = ["scenes:caffenet", "scenes:googlenet"]
EPS = 10 / 255


def bare_gradient(model, x, y):
    x = x.detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(model.net(model._prepare(x)), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_pgd_step(name, subject_of, ratio):
    (model, x, y, _), steps = subject_of(ENTRIES[name].load()), 10
    attack = PGD(eps=EPS, steps=steps, random_start=False)  # the start is no step

    def peer():
        for _ in range(steps):
            bare_gradient(model, x, y)

    ratio(lambda: attack(model, x, y, rng=0), peer, limit=1.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_gd_uap_iteration(name, subject_of, ratio):
    (model, x, y, _), iterations = subject_of(ENTRIES[name].load(), 25), 10
    ascent = FeatureAscent(model, x, Draws.of(0, samples=[0]), eps=EPS, learning_rate=0.01, batch_size=25)

    def ours():
        for _ in range(iterations):
            ascent.step()
            ascent.saturated()

    def peer():
        for _ in range(iterations):
            bare_gradient(model, x, y)

    ratio(ours, peer, limit=1.15)
