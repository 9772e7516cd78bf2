"""A network that takes multiples of a number only gets them, whatever the size of the images."""

import pytest
import torch
from foolbench.core import ConfigError
from foolbench.models import load_model
from foolbench.tasks import Depth, Recognition
from torch import nn
from torch.nn import functional as F


class Hourglass(nn.Module):
    """Halves twice and doubles twice: odd sides do not come back, as in many a decoder."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        if x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError("sides have to be multiples of 4")
        small = F.avg_pool2d(self.down(x).relu(), 2)
        return {"out": F.softplus(self.up(F.interpolate(small, scale_factor=4))), "aux": small}


class Scores(nn.Module):
    def forward(self, x):
        if x.shape[2] % 8:
            raise ValueError
        return x.mean(dim=3)[:, :, :2].flatten(1)


def test_what_it_answers_is_that_of_the_image_padded_by_its_last_row_and_column():
    net = Hourglass()
    model = load_model(net, size=(9, 14), stride=4)
    assert (model.task, model.shape) == (Depth(), (3, 9, 14))
    x = torch.rand(2, 3, 9, 14)
    by_torch = net(F.pad(x, (0, 2, 0, 3), mode="replicate"))["out"][:, :, :9, :14]
    torch.testing.assert_close(model(x), by_torch)


def test_without_it_such_sizes_are_refused_and_fitting_ones_are_not_changed():
    with pytest.raises(ConfigError, match="multiples of 4"):
        load_model(Hourglass(), size=(9, 14))
    torch.manual_seed(0)
    net = Hourglass()
    x = torch.rand(2, 3, 8, 12)
    assert torch.equal(load_model(net, size=(8, 12), stride=4)(x), load_model(net, size=(8, 12))(x))


def test_gradients_are_those_of_the_padding_by_torch():
    net, x = Hourglass(), torch.rand(2, 3, 9, 14, requires_grad=True)
    model = load_model(net, size=(9, 14), stride=4)
    (found,) = torch.autograd.grad(model(x).square().sum(), x)
    padded = net(F.pad(x, (0, 2, 0, 3), mode="replicate"))["out"][:, :, :9, :14]
    (expected,) = torch.autograd.grad(padded.square().sum(), x)
    torch.testing.assert_close(found, expected)


def test_scores_of_a_whole_image_are_left_alone():
    assert load_model(Scores(), size=(9, 5), stride=8).task == Recognition(classes=6)


def test_layers_are_named_as_in_the_network():
    model = load_model(Hourglass(), size=(9, 14), stride=4, features=("down",))
    assert model.feature_names == ("net.down",)


class Sum(nn.Module):
    """Ends in a sum, as a residual block does."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.a(x).relu() + self.b(x).relu()


def test_the_rule_finds_the_layers_that_it_finds_without():
    plain, padded = load_model(Sum(), size=(8, 8)), load_model(Sum(), size=(9, 8), stride=4)
    assert padded.feature_names == tuple(f"net.{name}" for name in plain.feature_names)
    assert load_model(Sum(), size=(9, 8), stride=4, features=("net.a", "b")).feature_names == ("net.a", "net.b")


@pytest.mark.parametrize("stride", [0, -32, 5000])
def test_an_impossible_stride_is_told(stride):
    with pytest.raises(ConfigError, match=r"Expected stride in 1\.\.4096"):
        load_model(Hourglass(), stride=stride)
