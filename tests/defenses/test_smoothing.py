"""Smoothing agrees with OpenCV pixel by pixel, borders included."""

import cv2
import numpy as np
import pytest
import torch
from foolbench.attacks import FGSM
from foolbench.core import InputError, Model
from foolbench.defenses import GaussianSmoothing, MedianSmoothing
from foolbench.tasks import Recognition
from torch import nn


def per_channel(x: torch.Tensor, function) -> torch.Tensor:
    return torch.stack([torch.stack([torch.from_numpy(function(plane.numpy())) for plane in image]) for image in x])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 1.7, 3.0])
def test_gaussian_is_opencvs(photos, channels, sigma):
    x, side = photos(3, channels), 2 * int(np.ceil(3 * sigma)) + 1
    expected = per_channel(
        x, lambda plane: cv2.GaussianBlur(plane, (side, side), sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT_101)
    )
    torch.testing.assert_close(GaussianSmoothing(sigma=sigma)(x), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_median_is_opencvs(photos, channels, size):
    # OpenCV repeats the border pixel; for windows beyond 5 it takes bytes only
    x = photos(3, channels)
    expected = per_channel(x, lambda plane: cv2.medianBlur((plane * 255).round().astype(np.uint8), size))
    torch.testing.assert_close(MedianSmoothing(size=size)(x), expected.float() / 255, rtol=0, atol=1e-6)


def test_gaussian_keeps_the_mean_and_halves_what_is_fast():
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1
    after = GaussianSmoothing(sigma=1.5)(impulse)
    assert float(after.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(after, after.transpose(2, 3))
    torch.testing.assert_close(after, after.flip(2))
    stripes = (torch.arange(20) % 2).float().expand(1, 1, 20, 20)
    assert (GaussianSmoothing(sigma=1.5)(stripes) - 0.5).abs().max() < 0.05


def test_median_removes_an_impulse_and_keeps_an_edge():
    edge = (torch.arange(12) >= 5).float().expand(1, 1, 12, 12)
    dirty = edge.clone()
    dirty[..., 3, 8], dirty[..., 9, 2], dirty[..., 0, 0] = 0, 1, 1
    assert torch.equal(MedianSmoothing(size=3)(dirty), edge)


@pytest.mark.parametrize("smoothing", [GaussianSmoothing(sigma=2.0), MedianSmoothing(size=5)], ids=repr)
def test_stays_within_the_local_range(photos, smoothing):
    x = photos()
    after = smoothing(x)
    for row in range(len(x)):
        assert x[row].min() - 1e-6 <= after[row].min() <= after[row].max() <= x[row].max() + 1e-6


@pytest.mark.parametrize(
    ("smoothing", "reach"), [(GaussianSmoothing(sigma=1.0), 3), (MedianSmoothing(size=5), 2)], ids=repr
)
def test_images_smaller_than_the_window(photos, smoothing, reach):
    smoothing(photos(1, 3, reach + 1, 9))
    with pytest.raises(InputError, match=rf"larger than {reach} pixels a side, got \(9, {reach}\)"):
        smoothing(photos(1, 3, 9, reach))


def test_fgsm_through_the_gaussian_finds_the_closed_form_optimum(mid_images):
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
