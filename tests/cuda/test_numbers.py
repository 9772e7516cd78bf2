"""Random numbers, precision, and a network's identity do not depend on where it is computed."""

import pytest
import torch
from foolbench.core import Draws, InputError, Model
from foolbench.core.behaviour import Behaviour
from foolbench.core.repeatable import repeatable
from foolbench.core.winners import winners
from foolbench.tasks import Recognition
from torch import nn


def streams(device) -> Draws:
    return Draws.of(3, "somewhere", samples=[5, 0, 7], device=device)


@pytest.mark.parametrize("kind", ["bits", "uniform", "signs", "forked", "split", "some"])
def test_draws_are_the_same_to_the_last_bit(device, kind):
    drawn = {
        "bits": lambda draws: draws.bits((4, 5)),
        "uniform": lambda draws: draws.uniform((3, 50, 50), -0.3, 0.7),
        "signs": lambda draws: draws.signs((100,)),
        "forked": lambda draws: draws.fork("here").integers(10, (100,)),
        "split": lambda draws: draws.split(3).bits((2,)),
        "some": lambda draws: draws[torch.tensor([2, 0])].uniform((100,)),
    }[kind]
    assert torch.equal(drawn(streams(device)).cpu(), drawn(streams("cpu")))


def test_normal_draws_are_the_same_but_for_rounding(device):
    torch.testing.assert_close(streams(device).normal((1000,)).cpu(), streams("cpu").normal((1000,)), rtol=0, atol=1e-5)


def test_convolutions_and_products_are_true_float32(device):
    """TF32 would be off by some 1e-3."""
    rng = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.Flatten(), nn.Linear(64 * 256, 10))
    x = torch.randn(4, 64, 16, 16, generator=rng)
    with repeatable(device), torch.no_grad():
        exact = net.double()(x.double())
        found = net.float().to(device)(x.to(device)).cpu().double()
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-5 * float(exact.abs().max()))


def test_a_network_is_known_again(digits_model, digits_there, on_device):
    assert digits_there.device.type == on_device
    assert digits_there.sha == digits_model.sha
    assert Behaviour.of(digits_there).same(Behaviour.of(digits_model))
    assert Behaviour.of(digits_there).to_bytes() == Behaviour.of(digits_there).to_bytes()


def test_a_network_without_weights_is_where_it_was_moved(device):
    model = Model(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), task=Recognition(classes=3)).to(device)
    x = torch.rand(2, 3, 8, 8)
    assert model(x.to(device)).device == model.device == x.to(device).device


def test_images_elsewhere_are_refused(digits_there, device):
    if device != "cpu":
        with pytest.raises(InputError, match="got cpu"):
            digits_there(torch.rand(2, 1, 8, 8))


@pytest.mark.parametrize("scope", ["layer", "channel"])
def test_winners_are_the_same(device, scope):
    x = torch.randn(4, 8, 7, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(winners(x.to(device), 0.2, scope).cpu(), winners(x, 0.2, scope))
