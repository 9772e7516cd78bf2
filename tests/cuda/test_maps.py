"""Answers that are maps: what is measured of them, and attacks on them, on a GPU as on a processor."""

import numpy as np
import pytest
import torch
from foolbench.core import Model, attacks
from foolbench.tasks import Depth, Segmentation
from torch import nn

TASKS = {"segmentation": Segmentation(classes=4), "depth": Depth(min_depth=0.1, max_depth=10.0, crop="garg")}
QUICK = {"sea": {"steps": 6}, "pgd": {"steps": 5}, "segpgd": {"steps": 5}, "cospgd": {"steps": 5}}


def network(task) -> Model:
    """Enlarged bilinearly, as most are that answer with maps."""
    torch.manual_seed(0)
    channels = 4 if isinstance(task, Segmentation) else 1
    last = nn.Identity() if isinstance(task, Segmentation) else nn.Softplus()
    up = nn.Upsample(scale_factor=2, mode="bilinear")
    return Model(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, channels, 1), up, last), task=task)


@pytest.fixture
def images():
    return torch.rand(3, 3, 24, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_metrics_and_losses(task, device, images):
    model = network(task)
    outputs = model(images)
    prediction, reference = task.predict(outputs), task.predict(model(images.flip(3)))
    there = (prediction.to(device), reference.to(device))
    for name, metric in task.metrics.items():
        aligned = [metric.align(one, other, one) for one, other in ((prediction, reference), there)]
        here, found = metric.statistics(aligned[0], reference), metric.statistics(aligned[1], there[1])
        np.testing.assert_allclose(found.cpu().numpy(), here.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)
    for measure in (task.loss, task.objective):
        found = measure(outputs.to(device), there[1]).cpu()
        torch.testing.assert_close(found, measure(outputs, reference), rtol=1e-4, atol=1e-5)
    views = torch.stack([outputs, outputs.flip(-1)], dim=1)
    torch.testing.assert_close(task.average(views.to(device)).cpu(), task.average(views), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("name", QUICK)
def test_attacks(name, task, on_device, images):
    model, x = network(task).to(on_device), images.to(on_device)
    attack = attacks.create(name, {"eps": 8 / 255} | QUICK[name])
    found = attack(model, x, rng=0)
    assert (found - x).abs().max() <= attack.eps + 1e-6
    assert torch.equal(attack(model, x, rng=0), found)


@pytest.mark.parametrize("aim", ["flip-left-right", "nearer"])
def test_aims(aim, on_device, images):
    model, x = network(TASKS["depth"]).to(on_device), images.to(on_device)
    assert aim in model.task.aims
    found = attacks.create("pgd", {"eps": 8 / 255, "steps": 3, "aim": aim})(model, x, rng=0)
    assert (found - x).abs().max() > 0
