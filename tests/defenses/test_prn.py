"""PRN starts as the identity, learns to rectify and to detect what it never saw, and leaves the model as it is."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from foolbench.attacks import UniversalPGD
from foolbench.core import ConfigError, CraftingData, Draws, InputError, LearningData
from foolbench.defenses import JPEG, PRN, RandomNoise
from foolbench.defenses._universal import combined, crafted, crafting_steps
from foolbench.defenses.prn import _spectra
from scipy.fft import dctn
from torch import nn
from torch.nn import functional as F

TINY = {"perturbations": 2, "epochs": 4, "width": 8, "blocks": 1, "learning_rate": 1e-2}
SHAPE = (1, 16, 16)


def smooth(count, seed):
    rng = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(count, 1, 3, 3, generator=rng), SHAPE[1:], mode="bilinear", align_corners=True)


def stream(seed=0):
    return Draws.of(seed, samples=[0])


@pytest.fixture(scope="module")
def model(linear_model):
    return linear_model(3, SHAPE)


@pytest.fixture(scope="module")
def fitted(model):
    return PRN(**TINY).fit(smooth(256, seed=0), model=model)


@pytest.fixture(scope="module")
def attacked(model):
    """Clean images, and the same under a perturbation of the attack's, made on images that PRN never saw."""
    x, others = smooth(200, seed=1), smooth(256, seed=2)
    data = CraftingData(validation=others[:64], load_training=lambda: others)
    perturbation = UniversalPGD(eps=PRN().eps, max_iterations=50).craft(model, data, rng=5)
    return x, perturbation.apply(x)


def test_starts_as_the_identity(photos):
    defense, x = PRN(width=8), photos(2)
    torch.testing.assert_close(defense.rectified(x, defense.identity(3, stream())), x, rtol=0, atol=0)


def test_is_the_residual_network_of_modules(photos):
    defense, x = PRN(width=5, blocks=2), photos(2, height=9, width=7)
    sizes = [3, 5, 5, 5, 5, 5, 3]
    layers = [nn.Conv2d(into, out, 3, padding=1) for into, out in pairwise(sizes)]
    weights = {
        f"{i}.{name}": part.detach() for i, layer in enumerate(layers) for name, part in layer.named_parameters()
    }
    z = layers[0](x - 0.5)
    for first, second in (layers[1:3], layers[3:5]):
        z = z + second(torch.relu(first(torch.relu(z))))
    expected = (x + layers[5](torch.relu(z))).clamp(0, 1)
    torch.testing.assert_close(defense.rectified(x, weights), expected.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12), (1, 5)])
def test_spectra_are_scipys(photos, height, width):
    x, y = photos(3, 3, height, width), photos(3, 3, height, width, seed=1)
    grey = (x - y).double().mean(dim=1).numpy()
    expected = np.log(np.abs(dctn(grey, axes=(1, 2), norm="ortho")) + 1e-4)
    np.testing.assert_allclose(_spectra(x, y).double().numpy(), expected, atol=5e-3)


def flagged(fitted, x):
    with torch.no_grad():
        return fitted.configuration.flagged(x, fitted.configuration.rectified(x, fitted.learned), fitted.learned)


def test_rectifies_and_detects_what_it_never_saw(model, fitted, attacked):
    x, perturbed = attacked
    clean, system = model.predict(x), fitted.defend(model)
    fooled = (model.predict(perturbed) != clean).float().mean()
    assert fooled > 0.4
    assert (system.predict(perturbed) != system.predict(x)).float().mean() < 0.4 * fooled
    assert (system.predict(x) == clean).float().mean() > 0.97
    assert flagged(fitted, x).float().mean() < 0.03
    assert flagged(fitted, perturbed).float().mean() > 0.97


def test_passes_images_that_are_not_flagged_as_they_are(fitted, attacked):
    x = torch.cat(attacked)
    rows, after = flagged(fitted, x), fitted(x)
    assert 0 < rows.sum() < len(x)
    assert torch.equal(after[rows], fitted.configuration.rectified(x, fitted.learned)[rows])
    assert torch.equal(after[~rows], x[~rows])


def test_an_image_does_not_depend_on_its_batch(fitted, attacked):
    x = torch.cat([images[:4] for images in attacked])
    alone = torch.cat([fitted(image) for image in x.split(1)])
    torch.testing.assert_close(fitted(x), alone, rtol=0, atol=1e-6)


def test_gradient_is_that_of_the_branch_taken(fitted, attacked):
    x = torch.cat(attacked).requires_grad_()
    rows = flagged(fitted, x)
    rectified = fitted.configuration.rectified(x, fitted.learned)
    (through,) = torch.autograd.grad(fitted(x).square().sum(), x)
    (of_network,) = torch.autograd.grad(rectified.square().sum(), x)
    assert torch.isfinite(through).all()
    torch.testing.assert_close(through[rows], of_network[rows])
    torch.testing.assert_close(through[~rows], 2 * x[~rows].detach())


def test_gradient_of_the_network_is_its_slope(fitted):
    weights = {name: tensor.double() for name, tensor in fitted.learned.items()}
    x = (0.1 + 0.8 * smooth(1, seed=3)[:, :, :6, :5]).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: fitted.configuration.rectified(x, weights), x)


def test_the_model_stays_as_it_is_and_a_seed_is_a_result(model):
    before, quick = copy.deepcopy(model.net.state_dict()), TINY | {"epochs": 1, "perturbations": 1}
    first, same, other = (PRN(**quick).fit(smooth(32, seed=0), model=model, seed=seed) for seed in (0, 0, 1))
    assert repr(first) == repr(same) != repr(other)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.net.state_dict().items())
    assert all(parameter.grad is None for parameter in model.net.parameters())
    assert not model.net.training


def test_learning_leaves_the_global_generators_alone(model):
    states = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 (the one that others use)
    PRN(**TINY | {"epochs": 1, "perturbations": 1}).fit(smooth(32, seed=0), model=model)
    assert torch.equal(states[0], torch.random.get_rng_state())
    assert repr(states[1]) == repr(np.random.get_state())  # noqa: NPY002


def test_progress(model):
    told = []
    data = LearningData(images=smooth(40, seed=0), model=model, progress=lambda *steps: told.append(steps))
    PRN(**TINY | {"epochs": 1}).learn(data, rng=stream())
    crafting = crafting_steps(40, 2, 32)
    assert crafting == 2 * 4  # a half of the images is one batch
    assert sorted(set(told)) == told[:1] + [(step, crafting + 2) for step in range(1, crafting + 3)]
    assert told == sorted(told)


def test_perturbations_of_a_linear_model_saturate(linear_model, mid_images):
    model, images = linear_model(2, (1, 3, 4)), mid_images(400, (1, 3, 4))
    images = images[model.predict(images) == 0][:40]  # of one class: the steepest ascent is the same everywhere
    told = []
    made = crafted(model, images, count=2, eps=0.1, batch_size=4, rng=stream(), progress=told.append)
    assert told == [*range(21), *range(20, 41)]
    weight = model.net.weight
    expected = 0.1 * (weight[1] - weight[0]).sign().reshape(1, 1, 3, 4)
    torch.testing.assert_close(made, expected.expand(2, -1, -1, -1))


def test_combinations_are_positive_and_in_the_ball():
    axes = 0.1 * torch.eye(6).reshape(6, 1, 2, 3)
    made = combined(axes, 50, eps=0.1, rng=stream())
    assert 0 <= made.min() <= made.max() <= 0.1 + 1e-7
    lengths = made.flatten(1).norm(dim=1)
    assert (lengths >= 0.1 - 1e-6).float().mean() > 0.9  # as long as the axes
    assert len(made.flatten(1).unique(dim=0)) > 40
    assert torch.equal(made, combined(axes, 50, eps=0.1, rng=stream()))


def test_learns_before_a_randomized_model(model):
    system = RandomNoise().defend(model)
    quick = PRN(**TINY | {"epochs": 1, "perturbations": 1})
    first, same = (quick.fit(smooth(32, seed=0), model=system) for _ in range(2))
    assert repr(first) == repr(same) != repr(quick.fit(smooth(32, seed=0), model=model))


def test_learns_from_a_model_with_a_gradient_only(model):
    with pytest.raises(ConfigError, match=r"JPEG.* has no gradient to follow"):
        PRN(**TINY).fit(smooth(32, seed=0), model=JPEG().defend(model))


def test_refuses_other_shapes(fitted, photos):
    with pytest.raises(InputError, match=r"shape \(1, 16, 16\), as learned, got \(3, 32, 40\)"):
        fitted(photos(1))


@pytest.mark.parametrize(
    "bad",
    [
        *({name: value} for name in ("eps", "learning_rate") for value in (0, -1, float("nan"), float("inf"))),
        *({name: 0} for name in ("perturbations", "epochs", "width", "blocks")),
    ],
    ids=repr,
)
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(bad))}"):
        PRN(**bad)
