"""Gaussian smoothing agrees with SciPy and kornia pixel by pixel, borders included."""

import numpy as np
import pytest
import torch
from foolbench.attacks import FGSM
from foolbench.core import ConfigError, InputError, Model
from foolbench.defenses import GaussianSmoothing
from foolbench.tasks import Recognition
from kornia.filters import gaussian_blur2d
from scipy.ndimage import gaussian_filter
from torch import nn

SIGMAS = [0.3, 0.5, 1.0, 1.7, 3.0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_is_scipys(photos, channels, sigma):
    # "mirror" is SciPy's word for borders that mirror all but the edge pixel; in double precision
    x, radius = photos(3, channels), int(np.ceil(3 * sigma))
    expected = gaussian_filter(x.double().numpy(), sigma, mode="mirror", radius=radius, axes=(2, 3))
    found = GaussianSmoothing(sigma=sigma)(x)
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_is_kornias(photos, sigma):
    # "reflect" is its word for the same borders
    x, side = photos(3), 2 * int(np.ceil(3 * sigma)) + 1
    expected = gaussian_blur2d(x, (side, side), (sigma, sigma), border_type="reflect")
    torch.testing.assert_close(GaussianSmoothing(sigma=sigma)(x), expected, rtol=0, atol=2e-6)


def test_keeps_the_mean_and_halves_what_is_fast():
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1
    after = GaussianSmoothing(sigma=1.5)(impulse)
    assert float(after.sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(after, after.transpose(2, 3))
    torch.testing.assert_close(after, after.flip(2))
    stripes = (torch.arange(20) % 2).float().expand(1, 1, 20, 20)
    assert (GaussianSmoothing(sigma=1.5)(stripes) - 0.5).abs().max() < 0.05


def test_stays_within_the_local_range(photos):
    x = photos()
    after = GaussianSmoothing(sigma=2.0)(x)
    for row in range(len(x)):
        assert x[row].min() - 1e-6 <= after[row].min() <= after[row].max() <= x[row].max() + 1e-6


def test_images_smaller_than_the_window(photos):
    GaussianSmoothing()(photos(1, 3, 4, 9))
    with pytest.raises(InputError, match=r"larger than 3 pixels a side, got \(9, 3\)"):
        GaussianSmoothing()(photos(1, 3, 9, 3))


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf")])
def test_bad_parameters(sigma):
    with pytest.raises(ConfigError, match="Expected sigma > 0 pixels"):
        GaussianSmoothing(sigma=sigma)


def test_fgsm_through_it_finds_the_closed_form_optimum(mid_images):
    # the defended model is linear, too: its weights are the blurred ones, column by column
    shape, eps, smoothing = (1, 5, 6), 0.1, GaussianSmoothing(sigma=1.0)
    matrix = smoothing(torch.eye(30).reshape(30, *shape)).flatten(1)  # row i: the image of the i-th pixel
    layer = nn.Linear(30, 2)
    torch.manual_seed(0)
    nn.init.normal_(layer.weight)
    defended = smoothing.defend(Model(nn.Sequential(nn.Flatten(), layer), task=Recognition(classes=2)))
    x = mid_images(4, shape)
    up = (matrix @ (layer.weight[1] - layer.weight[0])).detach().reshape(shape)
    adversarial = FGSM(eps=eps)(defended, x, torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(adversarial - x, eps * up.sign().expand_as(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # OpenCV's, torch's
def test_rounding_stops_no_gradient(dtype):
    # in white images the blurred value may be 1 + 1e-7, which a clamp would cut off
    x = torch.ones(1, 1, 40, 40, dtype=dtype).requires_grad_()
    after = GaussianSmoothing(sigma=1.7).transform(x, rng=None)
    assert after.max() <= 1
    (gradient,) = torch.autograd.grad(after.sum(), x)
    assert float(gradient.sum()) == pytest.approx(1600, rel=1e-5)
    assert (gradient[..., 12:-12, 12:-12] - 1).abs().max() < 1e-5
