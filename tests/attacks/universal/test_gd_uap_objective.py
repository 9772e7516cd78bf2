"""GD-UAP's objective: its gradient by hand, its invariances, and the perturbation that maximises it."""

import math

import pytest
import torch
from foolbench.attacks import GDUAP
from foolbench.attacks.universal._features import FeatureAscent
from foolbench.core import Draws, Model
from torch import nn

SHAPE = (2, 6, 7)


def gradient(model: Model, pool: torch.Tensor, delta: torch.Tensor, batch_size: int = 25) -> torch.Tensor:
    ascent = FeatureAscent(model, pool, Draws.of(0, samples=[0]), eps=0.1, learning_rate=0.01, batch_size=batch_size)
    ascent.delta.data.copy_(delta)
    ascent.step()
    return ascent.delta.grad


@pytest.fixture
def delta(uniform):
    return 0.1 * (2 * uniform(1, seed=7)[0] - 1)


@pytest.mark.parametrize("images", [1, 3])
def test_gradient_of_minus_the_log_of_the_product_of_pooled_energies(
    delta, images, bias_free_net, wrap, uniform, spy_on_inputs
):
    model, net = wrap(), bias_free_net().double()
    shown = spy_on_inputs(model)
    found = gradient(model, uniform(images, seed=3), delta, batch_size=4)
    assert len(shown[0]) == (1 if images == 1 else 4)
    variable = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    first = net[1](net[0](shown[0].double() + variable))
    second = net[3](net[2](first))
    half_squares = 0.5 * (first**2).sum() * 0.5 * (second**2).sum()  # over the batch, too, before the logarithm
    expected = torch.autograd.grad(-torch.log(half_squares), variable)[0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_no_data_gradient_does_not_depend_on_the_batch_size(delta, wrap, crafting):
    batch = torch.zeros(1, *SHAPE)
    alone, many = (gradient(wrap(), batch.expand(size, *SHAPE), delta) for size in (1, 25))
    torch.testing.assert_close(many, alone, rtol=1e-5, atol=1e-6)
    crafted = [
        GDUAP(eps=0.1, batch_size=size, max_iterations=20).craft(wrap(), crafting(), rng=0).delta for size in (1, 25)
    ]
    assert torch.equal(*crafted)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_scaling_delta_shifts_the_loss_of_a_bias_free_net_by_minus_k_log_a_squared(delta, scale, wrap):
    # loss(a delta) = loss(delta) - K log a^2: its gradient falls with 1/a, and <gradient, delta> = -2K (Euler)
    batch, layers = torch.zeros(1, *SHAPE), 2
    torch.testing.assert_close(gradient(wrap(), batch, scale * delta), gradient(wrap(), batch, delta) / scale)
    assert float((gradient(wrap(), batch, scale * delta) * scale * delta).sum()) == pytest.approx(-2 * layers, rel=1e-4)


def test_a_layers_scale_leaves_the_gradient_alone(delta, bias_free_net, wrap, uniform):
    scaled = bias_free_net()
    scaled[0].weight.data *= 5
    scaled[2].weight.data /= 5
    batch = uniform(2)
    torch.testing.assert_close(
        gradient(wrap(scaled), batch, delta), gradient(wrap(), batch, delta), rtol=1e-4, atol=1e-5
    )


def test_a_dead_layer_has_no_say(delta, bias_free_net, wrap, uniform):
    dead = bias_free_net()
    dead[2].weight.data.zero_()
    batch = uniform(2)
    torch.testing.assert_close(
        gradient(wrap(dead), batch, delta), gradient(wrap(features=("1",)), batch, delta), rtol=1e-5, atol=1e-6
    )


def test_finds_the_closed_form_optimum_of_one_linear_feature(scripted, wrap, crafting):
    # |w . delta| over the cube is largest at eps sign(w), up to its sign
    layer = nn.Linear(math.prod(SHAPE), 3, bias=False)
    row = torch.randn(math.prod(SHAPE), generator=torch.Generator().manual_seed(0))
    layer.weight.data = torch.stack([row, 2 * row, -row])
    model = wrap(nn.Sequential(nn.Flatten(), layer), features=("1",))
    scripted([0.5])
    attack = GDUAP(eps=0.1, max_iterations=300, learning_rate=0.1, saturation=1.0)
    delta = attack.craft(model, crafting(), rng=0).delta.flatten()
    product = float(row @ delta)
    torch.testing.assert_close(delta, 0.1 * math.copysign(1, product) * row.sign(), rtol=0, atol=1e-7)
