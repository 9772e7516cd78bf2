"""k winners take all: how many, which, with what slope; and in place of every ReLU of a network."""

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Model
from foolbench.core.winners import winners
from foolbench.datasets import Digits
from foolbench.defenses import KWTA, BitDepth, adaptive
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import nn

SCOPES = ["layer", "channel"]


@pytest.fixture
def activations():
    return torch.randn(5, 6, 7, 9, generator=torch.Generator().manual_seed(0))


def rows(x, scope):
    return x.flatten(1) if scope == "layer" else x.flatten(2)


class TopK(nn.Module):
    """By torch's topk, one image at a time; equals all stay."""

    def __init__(self, gamma, scope):
        super().__init__()
        self.gamma, self.scope = gamma, scope

    def forward(self, x):
        return torch.stack([self.of_one(image) for image in x])

    def of_one(self, image):
        parts = image.flatten(1) if self.scope == "channel" and image.ndim > 1 else image.flatten()[None]
        best = parts.topk(max(1, int(self.gamma * parts.shape[1])), dim=1).values
        return torch.where(parts >= best[:, -1:], parts, 0.0).reshape(image.shape)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5, 1.0])
def test_the_largest_stay(activations, gamma, scope):
    found = winners(activations, gamma, scope)
    assert torch.equal(found, TopK(gamma, scope)(activations))
    size = rows(activations, scope).shape[-1]
    assert ((rows(found, scope) != 0).sum(dim=-1) == max(1, int(gamma * size))).all()


@pytest.mark.parametrize("scope", SCOPES)
def test_all_of_them_are_the_identity(activations, scope):
    assert torch.equal(winners(activations, 1.0, scope), activations)


@pytest.mark.parametrize("scope", SCOPES)
def test_more_gamma_keeps_more(activations, scope):
    few, more = (winners(activations, gamma, scope) != 0 for gamma in (0.2, 0.3))
    assert (few <= more).all()
    assert few.sum() < more.sum()


@pytest.mark.parametrize("scope", SCOPES)
def test_it_is_positively_homogeneous(activations, scope):
    assert torch.equal(winners(4 * activations, 0.2, scope), 4 * winners(activations, 0.2, scope))


def test_the_order_in_a_layer_does_not_matter(activations):
    order = torch.randperm(6 * 7 * 9, generator=torch.Generator().manual_seed(1))
    flat = activations.flatten(1)
    assert torch.equal(winners(flat[:, order], 0.2, "layer"), winners(flat, 0.2, "layer")[:, order])


@pytest.mark.parametrize("scope", SCOPES)
def test_memory_may_lie_channels_last(activations, scope):
    stored = activations.contiguous(memory_format=torch.channels_last)
    assert torch.equal(winners(stored, 0.2, scope), winners(activations, 0.2, scope))


def test_equals_all_stay_and_negative_values_win_where_they_are_the_largest():
    assert winners(torch.tensor([[1.0, 3, 3, 3, 0]]), 0.4, "layer").tolist() == [[0, 3, 3, 3, 0]]
    assert winners(torch.tensor([[-1.0, -5, -2, -9, -8]]), 0.4, "layer").tolist() == [[-1, 0, -2, 0, 0]]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_slope_is_the_mask(activations, scope):
    x = activations.requires_grad_()
    kept = winners(x, 0.2, scope)
    (mask,) = torch.autograd.grad(kept.sum(), x)
    assert torch.equal(mask, (kept != 0).float())


@pytest.mark.parametrize("place", [0.5, 0.8])
def test_the_smooth_slope_adds_up_to_the_jump(place):
    """Over equally spaced activations it is an integral: of a function that ends where the winners are themselves."""
    x = torch.linspace(1, 3, 100_001, dtype=torch.float64, requires_grad=True)
    kept = winners(x[None], 1 - place, "layer", smooth=True)
    (slope,) = torch.autograd.grad(kept.sum(), x)
    assert float(slope.detach()[:-1].sum()) * 2 / 100_000 == pytest.approx(3, abs=0.01)
    threshold = 1 + 2 * place
    width = 0.2 * float((x.detach() - threshold).square().mean().sqrt())
    assert (slope[x < threshold - 1.01 * width] == 0).all()
    assert (slope[x > threshold + 1.01 * width] == 1).all()
    assert (slope[(x - threshold).abs() < 0.9 * width] > 0).all()


@pytest.mark.parametrize("scope", SCOPES)
def test_the_smooth_slope_is_that_of_rows_apart_and_of_no_unit(activations, scope):
    def slope(x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(winners(x, 0.2, scope, smooth=True).sum(), x)[0]

    found = slope(activations)
    torch.testing.assert_close(slope(1024 * activations), found)
    torch.testing.assert_close(slope(activations[1:3]), found[1:3])
    if scope == "channel":
        torch.testing.assert_close(slope(activations[:, 2:3]), found[:, 2:3])
    assert torch.equal(slope(torch.zeros(2, 3, 4)), torch.full((2, 3, 4), 0.5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_choose_exactly(activations, dtype):
    x = activations.to(dtype)
    assert torch.equal(winners(x, 0.2, "layer"), TopK(0.2, "layer")(x))


def test_around_a_network_of_winners_it_is_the_network_itself():
    entry = ENTRIES["digits:convnet-k-wta"]
    x, _ = Digits().load(range(20))
    model = entry.load()
    assert torch.equal(KWTA().defend(model)(x), model(x))
    assert not torch.equal(KWTA(gamma=0.1).defend(model)(x), model(x))


@pytest.mark.parametrize("scope", SCOPES)
def test_every_relu_of_a_network_is_replaced(digits_model, scope):
    x, _ = Digits().load(range(20))
    by_hand = nn.Sequential(*(TopK(0.2, scope) if isinstance(layer, nn.ReLU) else layer for layer in digits_model.net))
    expected = Model(by_hand, task=digits_model.task, mean=0.5, std=0.5, channels_last=True)  # rounding alike
    torch.testing.assert_close(KWTA(scope=scope).defend(digits_model)(x), expected(x))
    torch.testing.assert_close(
        KWTA(scope=scope).defend(BitDepth().defend(digits_model))(x), BitDepth().defend(expected)(x)
    )


def test_the_smooth_slope_and_the_networks_own_are_offered(digits_model):
    x, _ = Digits().load(range(8))
    system = adaptive(KWTA(), digits_model)
    assert list(system.alternatives) == ["smooth", "mask"]
    slopes, before = [], digits_model.passes.forwards
    for other in (system, *system.alternatives.values()):
        z = x.clone().requires_grad_()
        outputs = other.logits(z)
        assert torch.equal(outputs, KWTA().defend(digits_model)(x))
        slopes.append(torch.autograd.grad(outputs[:, 0].sum(), z)[0])
    assert torch.equal(slopes[0], slopes[1])
    assert not torch.allclose(slopes[1], slopes[2])
    assert digits_model.passes.forwards == before + 2 * 3 * 8


@pytest.mark.parametrize("facts", [{"gamma": 0.0}, {"gamma": 1.1}, {"gamma": float("nan")}, {"scope": "vol"}], ids=str)
def test_refuses_what_makes_no_sense(facts):
    with pytest.raises(ConfigError, match=next(iter(facts))):
        KWTA(**facts)


@pytest.mark.parametrize("kind", [nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish])
def test_other_activations_are_replaced_as_well(digits_model, kind):
    layers = [kind() if isinstance(layer, nn.ReLU) else layer for layer in digits_model.net]
    other = Model(nn.Sequential(*layers), task=digits_model.task, mean=0.5, std=0.5, channels_last=True)
    x, _ = Digits().load(range(20))
    assert torch.equal(KWTA().defend(other)(x), KWTA().defend(digits_model)(x))


def test_refuses_a_network_without_such_activations():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.Tanh())
    with pytest.raises(ConfigError, match="to have activations as modules, found none"):
        KWTA().defend(Model(net, task=Recognition(classes=3)))(torch.rand(2, 1, 3, 4))


def test_it_breaks_where_the_gradient_counts_the_jump():
    """Of a network trained with it: along its own slope PGD misses a quarter of what there is."""
    x, _ = Digits().load(range(100))
    model = ENTRIES["digits:convnet-k-wta"].load()

    def fooled(system):
        attacked = PGD(eps=0.1, steps=20)(system, x, rng=0)
        return int((model.predict(attacked) != model.predict(x)).sum())

    assert fooled(adaptive(KWTA(), model)) > 1.3 * fooled(model)
