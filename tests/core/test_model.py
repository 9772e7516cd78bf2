"""A model is a frozen copy that takes images only, knows what it is, and counts what it is asked."""

import copy

import pytest
import torch
from foolbench.attacks import FGSM, PGD
from foolbench.core import ConfigError, InputError, Model
from foolbench.tasks import Recognition
from torch import nn


def small_net(channels: int = 3, classes: int = 4, inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.ReLU(inplace),
        nn.Dropout(0.5),
        pool,
        nn.Flatten(),
        nn.Linear(6, classes),
    )


def wrap(net: nn.Module | None = None, classes: int = 4, **facts) -> Model:
    return Model(net or small_net(classes=classes), task=Recognition(classes=classes), **facts)


@pytest.fixture
def images():
    return torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda x: x - 0.5, "normalisation"),
        (lambda x: x.masked_fill(x == x.max(), torch.nan), "NaN"),
        (lambda x: x.double(), "float32"),
        (lambda x: x[:, :1], r"\(N, 3, H, W\), got \(5, 1, 4, 6\)"),
        (lambda x: x[0], "shape"),
        (lambda x: x[:0], "at least one image"),
        (lambda x: x.numpy(), "from_numpy"),
    ],
)
@pytest.mark.parametrize("use", ["__call__", "predict", "check"])
def test_refuses_what_is_no_image(images, spoil, complaint, use):
    model = wrap(shape=(3, None, None))
    with pytest.raises(InputError, match=complaint):
        getattr(model, use)(spoil(images))
    assert model.passes.forwards == 0


def test_refuses_images_elsewhere(images):
    model = wrap(name="far").to("meta")  # the one other device that every machine has
    with pytest.raises(InputError, match=r"Expected images on meta, where far is, got cpu; use x\.to"):
        model(images)


def test_one_channel_is_not_taken_for_three():
    with pytest.raises(InputError, match="shape"):  # the normalisation would broadcast it
        wrap(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))(torch.full((2, 1, 4, 4), 0.5))


@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 2, (4, 9)), (3, 2, (8, 3)), (1, 7, (5, 5))])
def test_any_shape_and_number_of_classes(channels, classes, size):
    model = wrap(small_net(channels, classes), classes)
    x = torch.rand(3, channels, *size)
    assert model(x).shape == (3, classes)
    assert torch.equal(model.predict(x), model(x).argmax(dim=1))
    assert PGD(eps=0.1, steps=2)(model, x).shape == x.shape


def test_wrong_number_of_logits(images):
    with pytest.raises(InputError, match=r"logits of shape \(5, 9\), got \(5, 4\)"):
        Model(small_net(classes=4), task=Recognition(classes=9))(images)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), ((0.5,), None), (None, (0.2, 0.3, 0.4)), (None, None)]
)
def test_normalisation_lives_inside(images, mean, std):
    net = small_net().eval()
    shift = torch.tensor(mean or (0.0,)).reshape(-1, 1, 1)
    scale = torch.tensor(std or (1.0,)).reshape(-1, 1, 1)
    expected = net((images - shift) / scale)
    torch.testing.assert_close(wrap(net, mean=mean, std=std, shape=(3, None, None))(images), expected)


def test_channels_last_changes_nothing_but_rounding(images):
    fast, plain = wrap(channels_last=True, features=("0",)), wrap(features=("0",))
    torch.testing.assert_close(fast(images), plain(images))
    torch.testing.assert_close(fast.features(images)[0], plain.features(images)[0])
    assert fast.sha == plain.sha
    slopes = []
    for model in (fast, plain):
        x = images.to(memory_format=torch.channels_last).requires_grad_()
        slopes += torch.autograd.grad(model(x).pow(2).sum(), x)
    torch.testing.assert_close(*slopes)
    assert slopes[0].is_contiguous()  # as steps along it are


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_broken_logits_are_no_prediction(images, value):
    net = small_net()
    net[5].bias.data[1] = value
    with pytest.raises(InputError, match=r"finite logits.* for 5 of 5 images"):
        wrap(net).predict(images)


def test_what_is_no_network_or_no_model_is_told(images):
    with pytest.raises(ConfigError, match=r"torch\.nn\.Module.*got builtin_function"):
        wrap(torch.relu)
    with pytest.raises(ConfigError, match="channels, height, width"):
        wrap(shape=(32, 32))
    with pytest.raises(ConfigError, match=r"Expected a foolbench\.core\.Model, got Sequential; wrap"):
        PGD(eps=0.1)(small_net(), images)


@pytest.mark.parametrize(
    "facts",
    [{"mean": (0.5, 0.5)}, {"std": (1, 1, 1, 1)}, {"std": (0.2, 0.0, 0.2)}, {"std": (-1,)}, {"std": (torch.nan,)}],
)
def test_bad_normalisation(facts):
    with pytest.raises(ConfigError, match="Expected"):
        wrap(shape=(3, None, None), **facts)


@pytest.mark.parametrize("attack", [FGSM(eps=0.1), PGD(eps=0.1, steps=3, norm="l2")], ids=repr)
def test_the_callers_module_is_untouched(images, attack):
    net = small_net()
    net[3].eval()  # a mixture of modes is the caller's right
    modes = [module.training for module in net.modules()]
    before = copy.deepcopy(net.state_dict())
    model = wrap(net, features=("1",))
    attack(model, images)
    model.features(images.requires_grad_())[0].sum().backward()

    assert [module.training for module in net.modules()] == modes
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(net.state_dict()[key], tensor) for key, tensor in before.items())
    assert not any(module._forward_hooks for module in (*net.modules(), *model.net.modules()))
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in model.net.parameters())


def test_the_copy_does_not_follow_the_callers_module(images):
    net = small_net()
    model = wrap(net)
    before = model(images)
    nn.init.zeros_(net[0].weight)
    assert torch.equal(model(images), before), "weights are shared, or dropout is on"


def changed(net: nn.Module) -> nn.Module:
    net[5].bias.data[3] += 1e-6
    return net


def test_sha_is_the_function():
    same = {wrap(mean=(0.5,)).sha for _ in range(3)} | {wrap(mean=(0.5,), name="alias", features=("0",)).sha}
    others = [wrap(), wrap(mean=(0.25,)), wrap(std=(0.5,)), wrap(changed(small_net()), mean=(0.5,))]
    swapped = small_net()
    swapped[1] = nn.Tanh()
    others += [wrap(swapped, mean=(0.5,)), wrap(mean=(0.5,), classes=5)]
    assert len(same) == 1
    assert len(same | {other.sha for other in others}) == 1 + len(others)


@pytest.mark.parametrize("names", [("0", "1", "5"), ("5", "0"), ("1",)])
@pytest.mark.parametrize("inplace", [False, True])
def test_features_are_the_outputs_of_the_named_layers_in_order(images, names, inplace):
    net = small_net().eval()
    outputs = [images]
    for layer in net:
        outputs.append(layer(outputs[-1]))
    features = wrap(small_net(inplace=inplace), features=names).features(images)
    assert len(features) == len(names)
    for name, feature in zip(names, features, strict=True):
        torch.testing.assert_close(feature, outputs[int(name) + 1])


def test_features_take_values_outside_the_box_but_not_another_layout(images):
    model = wrap(features=("0",), shape=(3, None, None))
    model.features(images - 3)
    with pytest.raises(InputError):
        model.features(images[:, :2])


def test_unknown_and_missing_features(images):
    with pytest.raises(ConfigError, match=r"Unknown layer of Net: 'conv9': choose from 0, 1, 2, 3, 4, 5\."):
        wrap(features=("0", "conv9"), name="Net")
    with pytest.raises(ConfigError, match="names no feature layers"):
        wrap().features(images)


def test_passes_count_images(images):
    model = wrap(features=("0", "5"))
    model(images)
    model.predict(images[:2])
    assert (model.passes.forwards, model.passes.backwards) == (7, 0)
    x = images.requires_grad_()
    model(x).sum().backward()
    sum(feature.square().sum() for feature in model.features(x[:3])).backward()
    assert (model.passes.forwards, model.passes.backwards) == (15, 8)
