"""Random noise has the moments of its distribution."""

import pytest
import torch
from foolbench.core import ConfigError, Draws
from foolbench.defenses import RandomNoise

GREY = torch.full((4, 3, 60, 70), 0.5)


@pytest.mark.parametrize(("distribution", "spread"), [("uniform", 0.1 / 3**0.5), ("gaussian", 0.1)])
def test_moments(distribution, spread):
    noise = RandomNoise(distribution=distribution, scale=0.1)(GREY, rng=0) - GREY
    assert float(noise.mean()) == pytest.approx(0, abs=0.002)
    assert float(noise.std()) == pytest.approx(spread, rel=0.02)
    assert abs(float(torch.corrcoef(noise.flatten(1))[0, 1])) < 0.05
    if distribution == "uniform":
        assert 0.099 < noise.abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize("distribution", ["uniform", "gaussian"])
def test_seeds_and_batches(photos, distribution):
    x, defense = photos(5), RandomNoise(distribution=distribution)
    once = defense(x, rng=3)
    assert torch.equal(once, defense(x, rng=3))
    assert not torch.equal(once, defense(x, rng=4))
    rng = Draws.of(3, samples=range(5))
    assert torch.equal(defense(x[2:4], rng=rng[2:4]), once[2:4])


def test_clamped_with_a_gradient_inside(photos):
    x = photos().requires_grad_()
    after = RandomNoise(scale=0.3)(x)
    assert after.min() == 0
    assert after.max() == 1
    (gradient,) = torch.autograd.grad(after.sum(), x)
    assert torch.equal(gradient, ((after > 0) & (after < 1)).float())


@pytest.mark.parametrize("bad", [{"scale": 0}, {"scale": -1}, {"scale": float("nan")}, {"distribution": "salt"}])
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(bad))}"):
        RandomNoise(**bad)
