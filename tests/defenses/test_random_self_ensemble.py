"""The random self-ensemble: how much noise lies before which convolution, and what many draws come to."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.core import ConfigError, Draws, Model, NetworkDefense
from foolbench.datasets import Digits
from foolbench.defenses import Compose, RandomSelfEnsemble, TenCrop
from foolbench.tasks import Recognition
from torch import nn


def streams(count, seed=0):
    return Draws.of(seed, samples=range(count))


class Pixels(nn.Module):
    """Two 1 x 1 convolutions that multiply by 3 and by 0.5; the logits are the two pixels."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False)
        self.first.weight.data.fill_(3.0)
        self.second.weight.data.fill_(0.5)

    def forward(self, x):
        return self.second(self.first(x)).flatten(1)


def test_the_noise_is_before_each_convolution_with_its_own_deviation():
    model, x = Model(Pixels(), task=Recognition(classes=2), shape=(1, 1, 2)), torch.full((4000, 1, 1, 2), 0.5)
    for init, inner in ((0.2, 0.1), (0.0, 0.4), (0.3, 0.0)):
        defense = RandomSelfEnsemble(init_std=init, inner_std=inner, draws=1)
        noise = defense.defend(model)(x, rng=streams(4000)) - model(x)
        expected = ((3 * 0.5 * init) ** 2 + (0.5 * inner) ** 2) ** 0.5
        assert noise.std().item() == pytest.approx(expected, rel=0.05)
        assert abs(noise.mean().item()) < 5 * expected / 8000**0.5


@dataclass(frozen=True, kw_only=True)
class Twice(NetworkDefense):
    """The difference of two evaluations."""

    differentiable = True
    randomized = False

    def answer(self, inside, x, *, rng):
        return inside(x) - inside(x)


def test_the_first_convolution_is_the_first_at_every_pass():
    """Of what lies inside and asks the network twice: both times the noise before it is `init_std`."""
    model, x = Model(Pixels(), task=Recognition(classes=2), shape=(1, 1, 2)), torch.full((4000, 1, 1, 2), 0.5)
    noise = Compose(steps=(RandomSelfEnsemble(init_std=0.2, inner_std=0.0, draws=1), Twice())).defend(model)
    assert noise(x, rng=streams(4000)).std().item() == pytest.approx(3 * 0.5 * 0.2 * 2**0.5, rel=0.05)


def test_without_noise_it_is_the_network(digits_model):
    x, _ = Digits().load(range(10))
    still = RandomSelfEnsemble(init_std=0, inner_std=0, draws=3)
    assert not still.randomized
    torch.testing.assert_close(still.defend(digits_model)(x).softmax(dim=1), digits_model(x).softmax(dim=1))
    assert torch.equal(RandomSelfEnsemble(init_std=0, inner_std=0, draws=1).defend(digits_model)(x), digits_model(x))


def test_the_variance_falls_with_the_draws(digits_model):
    x = Digits().load([0])[0].expand(300, -1, -1, -1)  # the same image, with 300 streams

    def spread(draws):
        system = RandomSelfEnsemble(init_std=0.5, inner_std=0.3, draws=draws).defend(digits_model)
        return system(x, rng=streams(300)).softmax(dim=1).var(dim=0).sum().item()

    assert spread(1) / spread(8) == pytest.approx(8, rel=0.4)


def test_an_image_has_its_own_draws_also_where_it_has_several_views(digits_model):
    x, _ = Digits().load(range(6))
    for model in (digits_model, TenCrop().defend(digits_model)):
        system, rows = RandomSelfEnsemble(draws=3).defend(model), torch.tensor([5, 2])
        outputs = system(x, rng=streams(6))
        torch.testing.assert_close(system(x[rows], rng=streams(6)[rows]), outputs[rows])
        assert not torch.allclose(system(x, rng=streams(6, seed=1)), outputs)
    grey = x[:1].expand(4, -1, -1, -1)
    assert len(RandomSelfEnsemble(draws=1).defend(digits_model)(grey, rng=streams(4)).unique(dim=0)) == 4


def test_its_draws_are_its_passes(digits_model):
    x, before = Digits().load(range(6))[0], digits_model.passes.forwards
    RandomSelfEnsemble(draws=7).defend(digits_model).predict(x, rng=streams(6))
    assert digits_model.passes.forwards - before == 42


@pytest.mark.parametrize("facts", [{"init_std": -0.1}, {"inner_std": float("inf")}, {"draws": 0}], ids=str)
def test_refuses_what_makes_no_sense(facts):
    with pytest.raises(ConfigError, match=next(iter(facts))):
        RandomSelfEnsemble(**facts)


def test_refuses_a_network_without_convolutions(linear_model):
    with pytest.raises(ConfigError, match="to have convolutions as modules, found none"):
        RandomSelfEnsemble().defend(linear_model(3, (1, 2, 2)))(torch.rand(2, 1, 2, 2), rng=streams(2))
