"""A network is what it answers: every edit that a hash of weights and `repr` misses shows, rounding does not."""

import copy
import types
from dataclasses import replace

import pytest
import torch
from foolbench.core import ConfigError, Model
from foolbench.core.behaviour import Behaviour, probes
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition, Segmentation
from torch import nn
from torch.nn import functional as F

SHAPE = (3, 8, 8)


class Tokens(nn.Module):
    """A transformer layer over the pixels of a row."""

    def __init__(self, **layer):
        super().__init__()
        torch.manual_seed(0)
        facts = {"d_model": 24, "nhead": 4, "dim_feedforward": 8, "batch_first": True} | layer
        self.layer, self.head = nn.TransformerEncoderLayer(**facts), nn.Linear(24, 4)

    def forward(self, x):
        return self.head(self.layer(x.transpose(1, 2).flatten(2)).mean(1))


def small(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Flatten(), nn.LazyLinear(4))


def called(net: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    net(torch.rand(1, *SHAPE))
    return net


class Scaled(nn.Module):
    def __init__(self, temperature):
        super().__init__()
        self.net, self.temperature = called(small()), temperature

    def forward(self, x):
        return self.net(x) / self.temperature


def hooked() -> nn.Module:
    net = called(small())
    net[0].register_forward_pre_hook(lambda module, inputs: (inputs[0].flip(1),))
    return net


def replaced() -> nn.Module:
    net = called(small())
    net.forward = types.MethodType(lambda self, x: self[2](self[1](self[0](x).relu())), net)
    return net


class Straight(nn.Module):
    """The same outputs with another gradient."""

    def forward(self, x):
        return x.detach() + 2 * (x - x.detach())


EDITS = {
    "num_heads": (lambda: Tokens(nhead=4), lambda: Tokens(nhead=1)),
    "norm_first": (Tokens, lambda: Tokens(norm_first=True)),
    "count_include_pad": tuple(
        lambda flag=flag: called(small(nn.AvgPool2d(3, 2, padding=1, count_include_pad=flag))) for flag in (True, False)
    ),
    "align_corners": tuple(
        lambda flag=flag: called(small(nn.Upsample(9, mode="bilinear", align_corners=flag))) for flag in (True, False)
    ),
    "pre-hook": (lambda: called(small()), hooked),
    "replaced forward": (lambda: called(small()), replaced),
    "attribute": (lambda: Scaled(1.0), lambda: Scaled(2.0)),
    "slight attribute": (lambda: Scaled(1.0), lambda: Scaled(1.001)),
    "gradient": (
        lambda: nn.Sequential(nn.Identity(), called(small())),
        lambda: nn.Sequential(Straight(), called(small())),
    ),
}


def behaviour(net: nn.Module, **facts) -> Behaviour:
    return Behaviour.of(Model(net, task=Recognition(classes=4), **{"shape": SHAPE, **facts}))


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_network_is_another(edit):
    before, after = (make() for make in EDITS[edit])
    assert behaviour(before).same(behaviour(before))
    assert not behaviour(before).same(behaviour(after))
    assert not behaviour(after).same(behaviour(before))


def test_transform_input_of_torchvision():
    from torchvision.models import googlenet

    def model(transform_input):
        torch.manual_seed(0)
        net = googlenet(weights=None, init_weights=False, aux_logits=False, num_classes=4)
        net.transform_input = transform_input
        return Model(net, task=Recognition(classes=4), shape=(3, 32, 32))

    before, after = model(False), model(True)
    assert before.sha == after.sha
    assert not Behaviour.of(before).same(Behaviour.of(after))


def test_rounding_is_no_edit():
    single = Behaviour.of(Model(called(small(nn.ReLU())), task=Recognition(classes=4), shape=SHAPE))
    double = Behaviour.of(Model(called(small(nn.ReLU())).double(), task=Recognition(classes=4), shape=SHAPE))
    assert not torch.equal(single.gradient, double.gradient)
    assert single.same(double)
    assert double.same(single)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_a_shipped_network_is_itself_with_any_number_of_threads(name):
    """As in a worker of a run, which has fewer than the run itself."""
    if name == "digits:scattering":
        pytest.importorskip("kymatio")
    model, before = ENTRIES[name].load(), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(Behaviour.of(model, (None, 128, 128)))
    finally:
        torch.set_num_threads(before)
    assert found[0].same(found[1])
    assert found[1].same(found[0])
    assert len({one.id for one in found}) == 1


@pytest.mark.parametrize(("factors", "same"), [
    ((1, 1, 1.03, 1), True),
    ((1.03, 1, 1.2, 1), True),
    ((1.03, 1.03, 1.03, 1), False),
    ((1, 1, 2, 1), False),
])  # fmt: skip
def test_rounding_may_switch_units_at_some_probes(factors, same):
    found = behaviour(called(small(nn.ReLU())))
    switched = replace(found, gradient=found.gradient * torch.tensor(factors)[:, None, None, None])
    assert found.same(switched) == same


def deep(seed: int) -> nn.Module:
    """Thirty layers that keep the size of what they are given."""
    torch.manual_seed(seed)
    convolutions = [nn.Conv2d(16 if place else 3, 16, 3, padding=1) for place in range(30)]
    for convolution in convolutions:
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    layers = [layer for convolution in convolutions for layer in (convolution, nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_deep_network_of_rough_arithmetic_is_itself_on_another_machine(dtype):
    """The other one is as far from this one as can be: it computes exactly."""
    rough = deep(0).to(dtype)
    found, other = behaviour(rough), behaviour(deep(1).to(dtype))
    exact = replace(behaviour(copy.deepcopy(rough).double()), tolerance=found.tolerance)
    assert not torch.equal(found.gradient, exact.gradient)
    assert found.same(exact)
    assert exact.same(found)
    for factor in (0, -1, 2):
        assert not found.same(replace(found, gradient=factor * found.gradient))
    assert not found.same(replace(found, gradient=other.gradient))


@pytest.mark.parametrize("side", [1, 2, 3, 8, 64])
def test_no_probe_is_of_one_value(side):
    found = probes(1, side, side).flatten(1)
    assert side == 1 or (found.amax(dim=1) > found.amin(dim=1)).all()


def test_a_behaviour_is_read_back():
    found = behaviour(called(small()))
    again = Behaviour.from_bytes(found.to_bytes())
    assert again.same(found)
    assert again.id == found.id != behaviour(Scaled(2.0)).id
    assert torch.equal(again.gradient, found.gradient)


class Counts(nn.Module):
    """No gradient at all: the class by the number of bright pixels."""

    def forward(self, x):
        return F.one_hot((x > 0.5).flatten(1).sum(1) % 4, 4)


def test_of_maps_in_any_layout_a_coarse_one_is_kept():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1))
    model = Model(net, task=Segmentation(classes=5), shape=(3, 64, 80), channels_last=True)
    found = Behaviour.of(model)
    assert found.outputs.shape == (4, 5, 16, 16)
    whole = model(probes(3, 64, 80)).detach()
    assert torch.allclose(found.outputs.mean((2, 3)), whole.mean((2, 3)), atol=1e-5)
    assert Behaviour.from_bytes(found.to_bytes()).same(found)
    with torch.no_grad():
        net[1].bias += 0.1
    assert not Behaviour.of(Model(net, task=Segmentation(classes=5), shape=(3, 64, 80))).same(found)


def test_a_network_without_a_gradient_has_outputs_only():
    found = behaviour(Counts())
    assert found.gradient is None
    assert Behaviour.from_bytes(found.to_bytes()).same(found)


class Noisy(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :4] + 0.01 * torch.randn(len(x), 4)


def test_a_random_network_has_none():
    with pytest.raises(ConfigError, match="Noisy is random: it answers otherwise when it is asked again"):
        behaviour(Noisy())


@pytest.mark.parametrize(
    ("own", "of_the_data", "expected"),
    [
        ((None, None, None), (1, 5, 7), (1, 5, 7)),
        ((1, None, None), (None, None, None), (1, 64, 64)),
        ((2, 1, 9), (3, 8, 8), (2, 1, 9)),
    ],
)
def test_probes_are_images_that_the_network_takes(own, of_the_data, expected):
    seen = []

    class Sees(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((2, 3)) @ torch.ones(x.shape[1], 4)

    model = Model(Sees(), task=Recognition(classes=4), shape=own)
    Behaviour.of(model, of_the_data)
    assert all(x.shape[1:] == expected for x in seen)
    assert all(0 <= x.min() < x.max() <= 1 for x in seen)


def test_probes_are_the_same_every_time():
    assert torch.equal(probes(3, 9, 5), probes(3, 9, 5))
    assert len(probes(3, 9, 5).flatten(1).unique(dim=0)) == len(probes(3, 9, 5))


class Dark(nn.Module):
    """Another network on dark images, which no noise is."""

    def __init__(self, step):
        super().__init__()
        self.net, self.step = called(small(nn.ReLU())), step

    def forward(self, x):
        return self.net(x) + self.step * (x.mean(dim=(1, 2, 3)) < 0.2)[:, None] * torch.arange(4)


def shown(step, images):
    return Behaviour.of(Model(Dark(step), task=Recognition(classes=4), shape=SHAPE), images=images)


def test_ways_that_noise_does_not_take_show_on_real_images():
    images = (
        torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(2))
        * torch.linspace(0.1, 1, 8)[:, None, None, None]
    )
    assert shown(0.0, None).same(shown(1.0, None))
    assert not shown(0.0, images).same(shown(1.0, images))
    assert shown(1.0, images).same(shown(1.0, (images + 1 / 255).clamp(0, 1))), "as another decoder would show them"
    assert Behaviour.from_bytes(shown(1.0, images).to_bytes()).same(shown(1.0, images))
    assert shown(1.0, images).same(shown(1.0, None))
    assert shown(1.0, images).id == shown(1.0, None).id


def test_a_masked_class_hides_no_change_of_the_others():
    class Masked(nn.Module):
        def __init__(self, prior):
            super().__init__()
            self.net, self.prior = called(small(nn.ReLU())), torch.tensor([prior, 0.0, 0.0, -1e9])

        def forward(self, x):
            return self.net(x) + self.prior

    assert behaviour(Masked(0.0)).same(behaviour(Masked(0.0)))
    assert not behaviour(Masked(0.0)).same(behaviour(Masked(0.01)))
