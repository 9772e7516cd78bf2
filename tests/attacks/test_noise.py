"""Noise has the distribution it claims, looks at no gradient, and is one image's own."""

import pytest
import torch
from foolbench.attacks import PGD, RandomSign, UniformNoise
from foolbench.core import ConfigError, Draws
from foolbench.core.norms import size
from scipy import stats

SHAPE = (3, 4, 5)
EPS = 0.1
NOISES = [UniformNoise(eps=EPS), UniformNoise(eps=EPS, norm="l2"), RandomSign(eps=EPS)]


@pytest.fixture
def model(linear_model):
    return linear_model(4, SHAPE)


def test_uniform_noise_is_uniform(model, mid_images):
    x = mid_images(200, SHAPE)
    noise = (UniformNoise(eps=EPS)(model, x, rng=1) - x).flatten()
    assert stats.kstest(noise.numpy(), "uniform", (-EPS, 2 * EPS)).pvalue > 1e-3


def test_l2_noise_is_uniform_in_the_ball(model, mid_images):
    x = mid_images(500, SHAPE)
    radius = size(UniformNoise(eps=EPS, norm="l2")(model, x, rng=1) - x, "l2").double()
    assert stats.kstest(((radius / EPS) ** 60).numpy(), "uniform").pvalue > 1e-3


def test_random_sign_moves_every_value_by_eps(model, mid_images):
    x = mid_images(200, SHAPE)
    noise = RandomSign(eps=EPS)(model, x, rng=1) - x
    torch.testing.assert_close(noise.abs(), torch.full_like(x, EPS), rtol=0, atol=1e-6)
    assert stats.binomtest(int((noise > 0).sum()), noise.numel()).pvalue > 1e-3


@pytest.mark.parametrize("noise", [UniformNoise, RandomSign])
def test_noise_has_no_target(noise):
    with pytest.raises(ConfigError, match="expected targeted=False"):
        noise(eps=EPS, targeted=True)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_noise_never_looks_at_the_model(model, linear_model, mid_images, noise):
    x, y = mid_images(7, SHAPE), torch.zeros(7, dtype=torch.int64)
    perturbed = noise(model, x, y, rng=2)
    assert (model.passes.forwards, model.passes.backwards) == (0, 0)
    assert torch.equal(noise(linear_model(4, SHAPE, seed=9), x, y + 1, rng=2), perturbed)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_noise_is_clipped_to_the_box(model, noise):
    for value in (0.0, 1.0):
        perturbed = noise(model, torch.full((20, *SHAPE), value), rng=0)
        assert 0 <= perturbed.min() <= perturbed.max() <= 1
        assert (perturbed != value).any()


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_an_images_draws_are_bit_equal_in_every_batch(model, mid_images, noise):
    x = mid_images(9, SHAPE)
    together = noise(model, x, rng=Draws.of(7, samples=range(9)))
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = noise(model, x[order], rng=Draws.of(7, samples=order.tolist()))
    assert torch.equal(shuffled, together[order])
    for part in (slice(0, 1), slice(4, 9)):
        alone = noise(model, x[part], rng=Draws.of(7, samples=range(9)[part]))
        assert torch.equal(alone, together[part])
    company = torch.cat([1 - x[:3], x[3:]])
    assert torch.equal(noise(model, company, rng=Draws.of(7, samples=range(9)))[3:], together[3:])


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("facts", [{}, {"restarts": 3}, {"early_stop": True, "restarts": 2}], ids=str)
def test_pgd_of_an_image_is_the_same_in_every_batch(linear_model, mid_images, norm, facts):
    model, x = linear_model(4, SHAPE, seed=2), mid_images(9, SHAPE)
    attack = PGD(eps=0.02, steps=3, norm=norm, **facts)
    y = model.predict(x)
    together = attack(model, x, y, rng=Draws.of(7, samples=range(9)))
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = attack(model, x[order], y[order], rng=Draws.of(7, samples=order.tolist()))
    torch.testing.assert_close(shuffled, together[order], rtol=0, atol=1e-6)
    for row in range(9):
        alone = attack(model, x[row : row + 1], y[row : row + 1], rng=Draws.of(7, samples=[row]))
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-6)


def test_pgd_random_starts_are_bit_equal_in_every_batch(model, mid_images):
    x, start = mid_images(9, SHAPE), PGD(eps=EPS, steps=0)
    together = start(model, x, rng=Draws.of(7, samples=range(9)))
    alone = [start(model, x[row : row + 1], rng=Draws.of(7, samples=[row])) for row in range(9)]
    assert torch.equal(torch.cat(alone), together)
