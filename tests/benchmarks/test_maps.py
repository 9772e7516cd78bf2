"""A step of an attack on maps against the bare forward pass and gradient, and the metrics against a forward pass."""

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import Model
from foolbench.datasets import SceneDepths, SceneMaps
from foolbench.models.scenes.dense import ENTRIES
from foolbench.tasks.segmentation import VOID
from torch.nn import functional as F

COUNT, STEPS = 8, 10
NETWORKS = {entry.net: entry for entry in ENTRIES if entry.net in ("fcn-alex", "deeplab-vgg", "monodepth-vgg")}


def bare_loss(model, outputs, y):
    if outputs.shape[1] == 1:
        return (outputs[:, 0].log() - y.log()).abs().mean(dim=(1, 2)).sum()
    return F.cross_entropy(outputs, y, ignore_index=VOID, reduction="none").mean(dim=(1, 2)).sum()


@pytest.fixture(params=NETWORKS)
def subject(request):
    """Speed does not depend on the weights: those that are not trained yet are random."""
    entry = NETWORKS[request.param]
    torch.manual_seed(0)
    model: Model = entry.load() if entry.weights.is_file() else entry.wrap(entry.build())
    data = SceneDepths() if entry.learns_from == "scenes-depth" else SceneMaps()
    return model, *data.load(range(COUNT))


def test_pgd_step(subject, ratio):
    model, x, y = subject
    attack = PGD(eps=8 / 255, steps=STEPS, random_start=False)

    def peer():
        for _ in range(STEPS):
            z = x.detach().requires_grad_()
            torch.autograd.grad(bare_loss(model, model.net(model._prepare(z)), y), z)

    ratio(lambda: attack(model, x, y, rng=0), peer, limit=1.1)


@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
def test_metric(subject, which, ratio):
    """The first is the task's main one; the last of depth is aligned by the clean prediction."""
    model, x, y = subject
    guess, metric = model.predict(x), list(model.task.metrics.values())[which]

    def ours():
        metric.of_set(metric.statistics(metric.align(guess, y, guess), y).double().numpy())

    def peer():
        with torch.no_grad():
            model.net(model._prepare(x))

    ratio(ours, peer, limit=0.05)
