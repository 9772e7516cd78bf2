"""Networks as people have them work as they are, or one sentence says what to do."""

import copy
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from foolbench.attacks import PGD, Square
from foolbench.core import ConfigError, GradientError, InputError, Model
from foolbench.core.guard import Guard
from foolbench.defenses import JPEG
from foolbench.tasks import Recognition
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm, weight_norm
from torch.nn.utils.parametrizations import spectral_norm as new_spectral_norm
from torch.nn.utils.parametrizations import weight_norm as new_weight_norm

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def wrap(net: nn.Module, **facts) -> Model:
    return Model(net, task=Recognition(classes=4), **facts)


def plain(convolution: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 6, 3, padding=1) if convolution is None else convolution
    return nn.Sequential(first, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


class Answering(nn.Module):
    """`shape_of` makes of the logits what somebody's network returns."""

    def __init__(self, shape_of):
        super().__init__()
        self.net, self.shape_of = plain(), shape_of

    def forward(self, x):
        return self.shape_of(self.net(x))


def computed(make) -> nn.Module:
    """With a weight that was computed a moment ago, which `deepcopy` does not take."""
    net = plain(make(nn.Conv2d(3, 6, 3, padding=1)))
    net.train()(IMAGES)
    return net.eval()


def holding(value) -> nn.Module:
    net = plain()
    net[0].held = value
    return net


def remembering() -> nn.Module:
    net = plain()
    net.last = [net(IMAGES)]
    return net


HAVE = {
    "weight-norm": lambda: computed(weight_norm),
    "spectral-norm": lambda: computed(spectral_norm),
    "new weight-norm": lambda: computed(new_weight_norm),
    "new spectral-norm": lambda: computed(new_spectral_norm),
    "lock": lambda: holding(threading.Lock()),
    "generator": lambda: holding({"rows": [(i for i in "rows")]}),
    "tensor": lambda: holding(torch.ones(3, requires_grad=True) * 2),
    "outputs": remembering,
    "parallel": lambda: nn.DataParallel(plain()),
    "compiled": lambda: torch.compile(plain(), backend="eager"),
    "compiled and parallel": lambda: nn.DataParallel(torch.compile(plain(), backend="eager")),
    "traced": lambda: torch.jit.trace(plain(), IMAGES),
    "scripted": lambda: torch.jit.script(plain()),
    "double": lambda: plain().double(),
    "half": lambda: plain().half(),
    "bfloat16": lambda: plain().bfloat16(),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", HAVE)
def test_a_network_as_it_is(kind):
    net = HAVE[kind]()
    model = wrap(net)
    low = next(model.net.parameters()).dtype in (torch.float16, torch.bfloat16)
    expected = net(IMAGES.to(next(net.parameters()).dtype)).float()
    torch.testing.assert_close(model(IMAGES), expected, **({"rtol": 2e-2, "atol": 2e-2} if low else {}))
    guard = Guard(model)
    assert PGD(eps=0.1, steps=2)(model, IMAGES, rng=0).dtype == torch.float32
    assert not guard.undo()
    assert model.sha == wrap(net).sha


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quant:UserWarning")
def test_a_quantised_network_has_scores_but_no_gradient():
    from torch.ao.quantization import quantize_dynamic

    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    quantised = quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    model = wrap(quantised)
    assert torch.equal(model(IMAGES), quantised(IMAGES))
    assert model.sha == wrap(quantised).sha
    net[1].weight.data[0, 0] += 1
    assert model.sha != wrap(quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)).sha
    guard = Guard(model)
    Square(eps=0.5, queries=20)(model, IMAGES, rng=0)
    assert not guard.undo()
    with pytest.raises(GradientError, match="attacks that need its scores or decisions only can be used"):
        PGD(eps=0.1)(model, IMAGES)


@pytest.mark.parametrize(
    "shape_of",
    [
        lambda logits: (logits,),
        lambda logits: (torch.zeros(len(logits), 7), logits),
        lambda logits: [logits, {"attention": logits}, None],
        lambda logits: {"features": torch.zeros(len(logits), 4), "logits": logits},
        lambda logits: {"out": logits, "aux": logits + 1},
        lambda logits: {"anything": logits},
        lambda logits: SimpleNamespace(logits=logits, hidden_states=(logits + 1,)),
    ],
)
def test_of_several_outputs_the_one_that_is_meant(shape_of):
    torch.testing.assert_close(wrap(Answering(shape_of))(IMAGES), plain()(IMAGES))


@pytest.mark.parametrize("shape_of", [lambda y: (y, y), lambda y: None, lambda y: {"a": y[:, :2]}, lambda y: "cat"])
def test_unclear_outputs_are_refused(shape_of):
    with pytest.raises(InputError, match=r"Expected Answering to return a tensor, got .*; wrap the network"):
        wrap(Answering(shape_of))(IMAGES)


def test_a_lazy_network_is_called_first():
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(ConfigError, match=r"1\.weight of Sequential has no weights yet; call the network once"):
        wrap(net)
    net(IMAGES)
    assert wrap(net)(IMAGES).shape == (3, 4)


class Uncopiable(nn.Module):
    def __deepcopy__(self, memo):
        raise RuntimeError("no copies")


def test_what_cannot_be_copied_is_told():
    with pytest.raises(ConfigError, match=r"Sequential cannot be copied \(no copies\); take out"):
        wrap(nn.Sequential(Uncopiable()))


@pytest.mark.parametrize(
    "facts",
    [
        {"mean": 0.5, "std": 0.25},
        {"mean": torch.full((1, 3, 1, 1), 0.5), "std": torch.full((3, 1, 1), 0.25)},
        {"mean": np.full((1, 3, 1, 1), 0.5), "std": np.full(3, 0.25)},
        {"mean": nn.Parameter(torch.full((3,), 0.5)), "std": [0.25]},
    ],
    ids=["numbers", "tensors", "arrays", "parameters"],
)
def test_a_normalisation_in_any_shape(facts):
    torch.testing.assert_close(wrap(plain(), **facts)(IMAGES), plain()((IMAGES - 0.5) / 0.25))


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        (
            {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)},
            r"got mean=\(123\.7, 116\.3, 103\.5\).* give value / 255: mean=\(0\.4851, 0\.4561, 0\.4059\), std=\(0\.229",
        ),
        ({"mean": (104.0, 117.0, 123.0)}, r"std=\(0\.003922\)\."),
        ({"std": 255}, r"mean=\(0\), std=\(1\)\."),
        ({"mean": "imagenet"}, "Expected mean as one number for each channel, got 'imagenet'"),
        ({"mean": torch.zeros(3, 8, 8)}, r"Expected mean as one number for each channel, got shape \(3, 8, 8\)"),
        ({"mean": ()}, "Expected mean as one number for each channel"),
        ({"mean": float("nan")}, "Expected finite mean"),
    ],
)
def test_a_normalisation_for_other_images_is_refused(facts, complaint):
    with pytest.raises(ConfigError, match=complaint):
        wrap(plain(), **facts)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (lambda: Model(plain(), task="recognition"), "Expected a task, such as Recognition"),
        (lambda: Model(plain(), task=Recognition), "Expected a task, such as Recognition"),
        (lambda: wrap(plain(), shape=(3, 0, 8)), "Expected shape as"),
        (lambda: wrap(plain(), shape=3), "Expected shape as"),
        (lambda: JPEG().defend(plain()), r"Expected a foolbench\.core\.Model, got Sequential; wrap"),
        (lambda: JPEG().fit(IMAGES, model=plain()), r"Expected a foolbench\.core\.Model, got Sequential; wrap"),
        (lambda: PGD(eps=0.1)(wrap(plain()), IMAGES, [0, 1, 2]), r"got list; convert with torch\.tensor"),
        (lambda: PGD(eps=0.1)(wrap(plain()), IMAGES, np.arange(3)), r"got ndarray; convert with torch\.tensor"),
        (lambda: PGD(eps=8), r"linf eps of at most 1, for pixels in 0\.\.1, got 8; n/255\?"),
    ],
)
def test_a_sentence_and_no_attribute_error(wrong, complaint):
    with pytest.raises((ConfigError, InputError), match=complaint):
        wrong()


class Block(nn.Module):
    """One relu for two places, in place, and an addition in place: what torchvision's residual blocks do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.bn2, self.relu = nn.BatchNorm2d(3), nn.ReLU(inplace=True)
        self.aux, self.attention = nn.Linear(3, 4), nn.MultiheadAttention(3, 1, batch_first=True)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.conv1(x))))
        out += x
        out = F.relu(self.relu(out), inplace=True)
        seen, _ = self.attention(*[out.flatten(2).transpose(1, 2)] * 3)
        return (self.head(seen.mean(1)), self.aux(seen.mean(1))) if self.training else self.head(seen.mean(1))


def recorded(layer: str) -> list[torch.Tensor]:
    return wrap(Block(), features=layer).features(IMAGES)


def test_features_are_copied_when_they_are_computed():
    net = Block().eval()
    before = net.conv1(IMAGES)
    between = net.bn2(net.conv2(before.relu()))
    [conv], [norm], relus = recorded("conv1"), recorded("bn2"), recorded("relu")
    torch.testing.assert_close(conv, before)
    torch.testing.assert_close(norm, between)
    assert len(relus) == 2
    torch.testing.assert_close(relus[0], before.relu())
    torch.testing.assert_close(relus[1], (between + IMAGES).relu())
    [attended] = recorded("attention")
    assert attended.shape == (3, 64, 3)


def test_recorded_copies_carry_the_gradient():
    x = IMAGES.clone().requires_grad_()
    features = wrap(Block(), features="bn2").features(x)[0]
    (slope,) = torch.autograd.grad(features.square().sum(), x)
    net, y = copy.deepcopy(Block()).eval(), IMAGES.clone().requires_grad_()
    (expected,) = torch.autograd.grad(net.bn2(net.conv2(net.conv1(y).relu())).square().sum(), y)
    torch.testing.assert_close(slope, expected)


def test_a_layer_that_is_not_used_is_named():
    with pytest.raises(ConfigError, match="does not use its layer aux when it looks at images"):
        recorded("aux")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_has_no_layers():
    with pytest.raises(ConfigError, match="is TorchScript, which cannot be looked into"):
        wrap(HAVE["traced"](), features="0").features(IMAGES)


@pytest.mark.parametrize(
    "facts", [{"features": 5}, {"features": (1, 2)}, {"expect_clean": 300}, {"expect_clean": "76"}]
)
def test_facts_that_are_none(facts):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(facts))}"):
        wrap(plain(), **facts)
