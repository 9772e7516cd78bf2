"""FFF: its objective by hand and at its optimum, its bound at every step, and when it halves and validates."""

import math

import pytest
import torch
from foolbench.attacks import FFF
from foolbench.core import ConfigError
from torch import nn

SHAPE = (2, 6, 7)


def test_gradient_of_minus_the_log_of_the_product_of_mean_magnitudes(bias_free_net, wrap, crafting, spy_on_inputs):
    net = bias_free_net().double()
    model = wrap(bias_free_net())
    shown = spy_on_inputs(model)
    FFF(eps=0.1, learning_rate=0.001, max_iterations=2).craft(model, crafting(), rng=0)
    start = shown[0].double().requires_grad_()
    assert start.shape == (1, *SHAPE), "the perturbation is the only input"
    first = net[1](net[0](start))
    second = net[3](net[2](first))
    product = first.abs().mean() * second.abs().mean()
    gradient = torch.autograd.grad(product.log(), start)[0]
    moved = shown[1] - shown[0]  # Adam's first step is the learning rate times the sign of the gradient
    sure = (gradient.abs() > 1e-3) & (shown[0].abs() < 0.0998)
    assert sure.float().mean() > 0.8
    torch.testing.assert_close(moved[sure], 0.0001 * gradient[sure].sign().float(), rtol=0.01, atol=1e-7)


def test_finds_the_closed_form_optimum_of_one_linear_feature(scripted, wrap, crafting):
    layer = nn.Linear(math.prod(SHAPE), 3, bias=False)
    row = torch.randn(math.prod(SHAPE), generator=torch.Generator().manual_seed(0))
    layer.weight.data = torch.stack([row, 2 * row, -row])
    model = wrap(nn.Sequential(nn.Flatten(), layer), features=("1",))
    scripted([0.5, 0.6])
    delta = FFF(eps=0.1, max_iterations=299, learning_rate=0.1).craft(model, crafting(), rng=0).delta.flatten()
    product = float(row @ delta)
    torch.testing.assert_close(delta, 0.1 * math.copysign(1, product) * row.sign(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("eps", [10 / 255, 0.1])
def test_never_leaves_the_bound_and_halves_by_the_clock(eps, wrap, crafting, spy_on_inputs):
    model = wrap()
    visited = spy_on_inputs(model)
    FFF(eps=eps, learning_rate=0.2, max_iterations=50, halve_every=15, validate_after=10).craft(model, crafting())
    bound = torch.tensor(eps, dtype=torch.float32)
    assert all(delta.dtype == torch.float32 and delta.abs().max() <= bound for delta in visited)
    halved = [i for i in range(2, 50) if visited[i].abs().max() <= bound / 2]
    assert halved == [15, 30, 45], "floor((50 - 1) / 15) halvings"


def test_validates_between_the_halvings_and_returns_the_best(scripted, wrap, crafting):
    judged, told = scripted([0.2, 0.9, 0.1, 0.3]), []
    data = crafting(progress=lambda *report: told.append(report))
    found = FFF(eps=0.1, max_iterations=50, halve_every=15, validate_after=10).craft(wrap(), data, rng=0)
    assert told == [(done, 50, -1 if done < 10 else 0.2 if done < 25 else 0.9) for done in range(51)]
    assert len(judged) == 4
    assert torch.equal(found.delta, judged[1])


def test_patience(scripted, wrap, crafting):
    judged = scripted([0.1, 0.3, 0.2, 0.3, 0.9])
    FFF(eps=0.1, max_iterations=100, halve_every=5, validate_after=5, patience=2).craft(wrap(), crafting())
    assert len(judged) == 4


def test_a_seed_is_a_result_and_no_image_is_read(wrap, crafting):
    attack = FFF(eps=0.1, max_iterations=8)
    first, again, other = (attack.craft(wrap(), crafting(), rng=seed).delta for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_without_feature_layers(wrap, crafting):
    with pytest.raises(ConfigError, match="names no feature layers"):
        FFF(eps=0.1).craft(wrap(features=()), crafting())


@pytest.mark.parametrize(
    "facts", [{"learning_rate": 0}, {"max_iterations": 0}, {"patience": 0}, {"halve_every": 0}, {"validate_after": 0}]
)
def test_bad_parameters(facts):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(facts))} > 0"):
        FFF(eps=0.1, **facts)


def test_a_validation_that_would_never_come():
    with pytest.raises(ConfigError, match="validate_after <= halve_every, got 200 and 100"):
        FFF(eps=0.1, halve_every=100)


def test_crafts_on_the_perturbation_alone():
    with pytest.raises(ConfigError, match="Expected prior to be one of none, got 'data'"):
        FFF(eps=0.1, prior="data")
