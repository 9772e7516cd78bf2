"""Defenses that are networks against the same networks as modules, with SciPy and scikit-learn, image by image."""

import numpy as np
import pytest
import torch
from foolbench.core import Draws, Learned, Model
from foolbench.defenses import PRN, Autoencoder
from foolbench.tasks import Recognition
from scipy.fft import dctn
from sklearn.svm import LinearSVC
from torch import nn
from torch.nn import functional as F

BATCHES = [(64, 64), (8, 224)]


@pytest.fixture(params=BATCHES, ids=lambda batch: f"{batch[0]}x{batch[1]}px")
def images(request):
    count, side = request.param
    rng = torch.Generator().manual_seed(0)
    return F.interpolate(torch.rand(count, 3, 8, 8, generator=rng), (side, side), mode="bilinear")


def small_model():
    return Model(nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3)), task=Recognition(classes=3))


def module(conv: tuple[int, ...], learned) -> list[nn.Conv2d]:
    layers = []
    for place, stride in enumerate(conv):
        weight = learned[f"{place}.weight"]
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride=stride, padding=1).requires_grad_(False)
        layer.load_state_dict({name: learned[f"{place}.{name}"] for name in ("weight", "bias")})
        layers.append(layer)
    return layers


def test_conv_autoencoder(ratio, images):
    defense = Autoencoder(epochs=1, batch_size=4).fit(images[:8], model=small_model())
    a, b, c, d, e, f = module((2, 2, 1, 1, 1, 1), defense.learned)
    r, up = nn.ReLU(), nn.PixelShuffle(2)
    net = nn.Sequential(a, r, b, r, c, d, r, e, up, r, f, up)

    def peer():
        return torch.cat([(net(x[None] - 0.5) + 0.5).clamp(0, 1) for x in images])

    torch.testing.assert_close(defense(images), peer(), rtol=0, atol=1e-5)
    ratio(lambda: defense(images), peer, limit=1.0, rounds=5)


def test_dense_autoencoder(ratio, images):
    defense = Autoencoder(kind="dense", hidden=64, epochs=1).fit(images[:8], model=small_model())
    offset, bias = defense.learned["offset"].flatten().numpy(), defense.learned["bias"].numpy()
    weight = defense.learned["weight"].numpy() / offset.size**0.5

    def restore(x):
        return offset + np.maximum(weight @ (x.numpy().ravel() - offset) + bias, 0) @ weight

    def peer():
        return torch.from_numpy(np.stack([restore(x) for x in images])).reshape(images.shape).clamp(0, 1)

    torch.testing.assert_close(defense(images), peer(), rtol=0, atol=1e-4)
    ratio(lambda: defense(images), peer, limit=1.0)


def test_prn(ratio, images):
    part = PRN()
    network = part.identity(3, Draws.of(samples=[0]))
    network["5.weight"] += 0.01 * torch.randn(network["5.weight"].shape, generator=torch.Generator().manual_seed(0))
    layers = module((1,) * 6, network)

    def rectified(x):
        z = layers[0](x - 0.5)
        for first, second in (layers[1:3], layers[3:5]):
            z = z + second(first(z.relu()).relu())
        return (x + layers[5](z.relu())).clamp(0, 1)

    def features(x, after):
        return np.log(np.abs(dctn((x - after)[0].mean(dim=0).numpy(), norm="ortho")) + 1e-4).reshape(1, -1)

    half = [i % 2 for i in range(len(images))]
    svm = LinearSVC(C=1e-3, dual=False, random_state=0).fit(
        np.concatenate([features(x, rectified(x)) for x in images.split(1)]), half
    )
    weight = torch.from_numpy(svm.coef_).float().reshape(images.shape[2:])
    learned = Learned(network | {"detector.weight": weight, "detector.bias": torch.tensor(float(svm.intercept_[0]))})
    defense = part.with_learned(lambda part, place: learned)

    def peer():
        found = []
        for x in images.split(1):
            after = rectified(x)
            found.append(after if svm.predict(features(x, after))[0] else x)
        return torch.cat(found)

    torch.testing.assert_close(defense(images), peer(), rtol=0, atol=1e-5)
    ratio(lambda: defense(images), peer, limit=1.0, rounds=5)
