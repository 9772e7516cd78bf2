"""The autoencoder is the network it describes, everything goes through its code."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, Draws, InputError, LearningData
from foolbench.defenses import Autoencoder
from torch import nn

KINDS = ["conv", "dense"]
SHAPE = (3, 4, 8)


@pytest.fixture
def model(linear_model):
    return linear_model(3, SHAPE)


@pytest.fixture
def fitted(photos, model):
    def fit(kind, *, images=40, seed=0, **parameters):
        quick = {"hidden": 4, "epochs": 2} | parameters
        return Autoencoder(kind=kind, **quick).fit(photos(images, *SHAPE), model=model, seed=seed)

    return fit


def test_tied_weights(fitted, photos):
    defense, x = fitted("dense"), photos(3, *SHAPE, seed=5)
    weight, bias, offset = (defense.learned[name].double().numpy() for name in ("weight", "bias", "offset"))
    assert weight.shape == (4, x[0].numel())
    weight = weight / np.sqrt(x[0].numel())
    expected = []
    for image in x.double().numpy():
        code = weight @ (image - offset).ravel() + bias
        expected.append(offset + (weight.T @ np.maximum(code, 0)).reshape(SHAPE))
    np.testing.assert_allclose(defense(x).double().numpy(), np.clip(expected, 0, 1), atol=1e-5)


def peer(learned):
    layers = [nn.Conv2d(*learned[f"{i}.weight"].shape[1::-1], 3, stride=2 if i < 2 else 1, padding=1) for i in range(6)]
    for i, layer in enumerate(layers):
        layer.load_state_dict({name: learned[f"{i}.{name}"] for name in ("weight", "bias")})
    encoder = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    decoder = nn.Sequential(
        layers[3], nn.ReLU(), layers[4], nn.PixelShuffle(2), nn.ReLU(), layers[5], nn.PixelShuffle(2)
    )
    return nn.Sequential(encoder, decoder).requires_grad_(False)


def test_conv_is_the_network_of_modules(fitted, photos):
    defense, x = fitted("conv"), photos(3, *SHAPE, seed=5)
    torch.testing.assert_close(defense(x), (peer(defense.learned)(x - 0.5) + 0.5).clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(7, 9), (5, 12), (1, 2)])
def test_conv_fills_up_to_a_multiple_of_4_with_the_last_pixels(fitted, photos, height, width):
    defense, x = fitted("conv"), photos(2, 3, height, width)
    filled = np.pad(x, [(0, 0), (0, 0), (0, -height % 4), (0, -width % 4)], mode="edge")
    expected = defense(torch.from_numpy(filled))[:, :, :height, :width]
    torch.testing.assert_close(defense(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kind", "code"), [("conv", 2 * 1 * 2), ("dense", 2)])
def test_nothing_goes_past_the_code(fitted, photos, kind, code):
    defense = fitted(kind, hidden=2)
    weights = {name: tensor.double() for name, tensor in defense.learned.items()}

    def restored(x):
        return defense.configuration.restored(x, weights)

    (x,) = photos(1, *SHAPE).double().split(1)
    jacobian = torch.autograd.functional.jacobian(restored, x).reshape(x.numel(), x.numel())
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-9) <= code
    assert torch.autograd.gradcheck(restored, x.requires_grad_())


@pytest.mark.parametrize("kind", KINDS)
def test_learns(fitted, photos, kind):
    x = photos(40, *SHAPE)
    errors = [
        float((fitted(kind, hidden=20, epochs=epochs, learning_rate=0.02)(x) - x).square().mean()) for epochs in (1, 40)
    ]
    of_the_mean_image = float((x - x.mean(dim=0)).square().mean())
    assert errors[1] < 0.7 * min(errors[0], of_the_mean_image)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_result(fitted, kind):
    assert repr(fitted(kind)) == repr(fitted(kind))
    assert repr(fitted(kind)) != repr(fitted(kind, seed=1))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_does_not_depend_on_its_batch(fitted, photos, kind):
    defense, x = fitted(kind), photos(5, *SHAPE)
    alone = torch.cat([defense(image) for image in x.split(1)])
    torch.testing.assert_close(defense(x), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_one_channel_few_images_and_whole_batches(photos, linear_model, kind):
    x = photos(3, 1, 8, 12)
    defense = Autoencoder(kind=kind, hidden=5, epochs=2, batch_size=8).fit(x, model=linear_model(3, (1, 8, 12)))
    after = defense(x)
    assert after.shape == x.shape
    assert 0 <= after.min() <= after.max() <= 1


def test_progress(photos, model):
    told = []
    data = LearningData(images=photos(20, *SHAPE), model=model, progress=lambda *steps: told.append(steps))
    Autoencoder(kind="dense", hidden=2, epochs=3).learn(data, rng=Draws.of(0, samples=[0]))
    assert told == [(step, 6) for step in range(1, 7)]


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_other_images(fitted, photos, kind):
    with pytest.raises(InputError, match=r"Expected images of .*as learned, got"):
        fitted(kind)(photos(1, 1, *SHAPE[1:]))


@pytest.mark.parametrize(("kind", "hidden"), [("conv", 48), ("dense", 96)])
def test_refuses_a_code_as_large_as_the_image(fitted, kind, hidden):
    with pytest.raises(ConfigError, match=f"as large as the image, got {hidden}"):
        fitted(kind, hidden=hidden)


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "deep"},
        *({name: 0} for name in ("hidden", "epochs", "batch_size")),
        *({"learning_rate": value} for value in (0, float("nan"), float("inf"))),
    ],
    ids=repr,
)
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(bad))}"):
        Autoencoder(**bad)
