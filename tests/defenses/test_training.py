"""Training comes to the least squares of a closed form, sees every image in every epoch, and is reproducible."""

from itertools import chain

import pytest
import torch
from foolbench.core import Draws
from foolbench.defenses._training import convolution, train

IMAGES, VALUES = 60, 5


@pytest.fixture(scope="module")
def problem():
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(IMAGES, VALUES, generator=rng)
    return inputs, inputs @ torch.randn(VALUES, 2, generator=rng) + 0.3 * torch.randn(IMAGES, 2, generator=rng)


def trained(problem, *, epochs=120, seed=0, seen=None, told=None):
    inputs, targets = problem

    def loss(weights, rows, rng):
        if seen is not None:
            seen.append(rows.tolist())
        return (inputs[rows] @ weights["matrix"] - targets[rows]).square().mean()

    return train(
        {"matrix": torch.zeros(VALUES, 2)},
        loss,
        IMAGES,
        epochs=epochs,
        batch_size=16,
        learning_rate=0.05,
        rng=Draws.of(seed, samples=[0]),
        progress=(lambda *steps: None) if told is None else lambda *steps: told.append(steps),
    )["matrix"]


def test_comes_to_the_least_squares(problem):
    inputs, targets = problem
    best = torch.linalg.lstsq(inputs, targets).solution
    torch.testing.assert_close(trained(problem), best, rtol=0, atol=0.02)


def test_every_epoch_sees_every_image_once_in_another_order(problem):
    seen, told = [], []
    trained(problem, epochs=3, seen=seen, told=told)
    assert [len(rows) for rows in seen] == 3 * [16, 16, 16, 12]
    epochs = [list(chain(*seen[start : start + 4])) for start in (0, 4, 8)]
    assert all(sorted(epoch) == list(range(IMAGES)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert told == [(step, 12) for step in range(1, 13)]


def test_a_seed_is_a_result(problem):
    first, same, other = (trained(problem, epochs=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_convolutions_start_with_the_spread_of_he():
    weights = convolution(40, 30, Draws.of(0, samples=[0]), size=5)
    assert weights.shape == (40, 30, 5, 5)
    assert float(weights.std()) == pytest.approx((2 / (30 * 25)) ** 0.5, rel=0.02)
