"""The generalized fooling rate, on predictions written down by hand."""

import pytest
import torch
from foolbench.core import InputError, Metric
from foolbench.tasks import Recognition, gfr

TOP1 = Recognition(classes=10).metrics["top1"]
SHARE = Metric(statistics=lambda p, r: (p == r).float().mean(dim=1), range=1.0, proportion=False)
POINTS = Metric(statistics=lambda p, r: 5.0 * (p == r).float().mean(dim=1), range=5.0, proportion=False)


def test_top1_is_the_fooling_rate():
    perturbed, clean = torch.tensor([1, 2, 3, 4, 4]), torch.tensor([1, 5, 3, 4, 0])
    rates = gfr(TOP1, perturbed, clean)
    assert rates.tolist() == [0, 1, 0, 0, 1]
    assert float(rates.mean()) == float((perturbed != clean).float().mean()) == pytest.approx(0.4)


def test_the_reference_is_the_clean_prediction_not_the_label():
    # a system that is wrong from the start and stays as wrong has not been fooled; one that turns right has
    labels, clean = torch.tensor([7, 7, 7]), torch.tensor([3, 3, 7])
    perturbed = torch.tensor([3, 7, 7])
    assert gfr(TOP1, perturbed, clean).tolist() == [0, 1, 0]
    assert gfr(TOP1, perturbed, labels).tolist() == [1, 0, 0]


@pytest.mark.parametrize("metric", [SHARE, POINTS], ids=["R=1", "R=5"])
def test_any_range(metric):
    clean = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])
    perturbed = torch.tensor([[1, 2, 3, 4], [1, 2, 0, 0], [0, 0, 0, 0]])
    assert gfr(metric, perturbed, clean).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("metric", [TOP1, SHARE], ids=["top1", "dense"])
def test_no_change_is_no_fooling(metric):
    predictions = torch.arange(12).reshape(3, 4) if metric is SHARE else torch.arange(12)
    assert gfr(metric, predictions, predictions).eq(0).all()


@pytest.mark.parametrize("shape", [(0,), (0, 4)])
def test_no_images_have_no_rate(shape):
    with pytest.raises(InputError, match="at least one prediction"):
        gfr(TOP1, torch.zeros(shape), torch.zeros(shape))


def test_differing_shapes():
    with pytest.raises(InputError, match=r"one shape, got \(3,\) and \(1,\)"):  # they would broadcast
        gfr(TOP1, torch.arange(3), torch.arange(1))
