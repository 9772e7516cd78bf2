"""The nearest of several boundaries, against all gradients at once."""

import weakref

import pytest
import torch
from foolbench.attacks._boundary import nearest_boundary
from foolbench.attacks._gradient import class_gradients
from foolbench.attacks._hyperplane import linear_distance
from foolbench.core import Draws
from foolbench.datasets import Digits
from torch.nn import functional as F

NORMS = ["linf", "l2", "l1"]


@pytest.fixture(scope="module")
def x():
    return Digits().load(range(32))[0]


@pytest.fixture(scope="module")
def y(digits_model, x):
    return digits_model.predict(x)


@pytest.fixture(scope="module")
def others(y):
    return torch.stack([(y + step) % 10 for step in range(1, 10)], dim=1)


@pytest.mark.parametrize("norm", NORMS)
def test_it_is_the_smallest_of_all_distances(digits_model, x, y, others, norm):
    rng = Draws.of(0, samples=range(len(x)))
    place, lead, slope = nearest_boundary(digits_model, x, y, others, norm, rng=rng)
    directions = (F.one_hot(others, 10) - F.one_hot(y, 10)[:, None]).float()
    leads, slopes, _ = class_gradients(digits_model, x, directions, rng=rng)
    expected = linear_distance(leads, slopes.flatten(2), norm).argmin(dim=1)
    assert torch.equal(place, expected)
    assert len(place.unique()) > 3, "nothing to choose"
    rows = torch.arange(len(x))
    torch.testing.assert_close(lead, leads[rows, expected])
    torch.testing.assert_close(slope, slopes[rows, expected])


def test_it_keeps_no_gradient_of_each_class(digits_model, x, y, others, monkeypatch):
    grad, alive, most = torch.autograd.grad, set(), 0

    def watched(*arguments, **facts):
        nonlocal most
        (found,) = grad(*arguments, **facts)
        alive.add(id(found))
        weakref.finalize(found, alive.discard, id(found))
        most = max(most, len(alive))
        return (found,)

    monkeypatch.setattr(torch.autograd, "grad", watched)
    nearest_boundary(digits_model, x, y, others, "l2", rng=Draws.of(0, samples=range(len(x))))
    assert most <= 2
