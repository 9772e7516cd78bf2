"""Downsampling agrees with OpenCV (area) and Pillow (antialiased filters), borders included."""

import cv2
import numpy as np
import pytest
import torch
from foolbench.core import ConfigError
from foolbench.defenses import Downsampling
from foolbench.tasks import Recognition, Segmentation
from PIL import Image

PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


def per_plane(x, function):
    return torch.stack([torch.from_numpy(np.array(function(plane.numpy()))) for plane in x.flatten(0, 1)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("keep", [75.0, 50.0, 30.0, 91.0])
def test_area_is_opencvs(photos, channels, keep):
    x = photos(2, channels, 40, 52)
    height, width = (round(side * keep / 100) for side in (40, 52))
    small = per_plane(x, lambda plane: cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
    found = Downsampling(keep=keep, restore=False)(x)
    torch.testing.assert_close(found.flatten(0, 1), small, rtol=0, atol=2e-6)
    back = per_plane(small[:, None], lambda plane: cv2.resize(plane, (52, 40), interpolation=cv2.INTER_LINEAR))
    torch.testing.assert_close(Downsampling(keep=keep)(x).flatten(0, 1), back, rtol=0, atol=5e-6)


@pytest.mark.parametrize("interpolation", PILLOW)
@pytest.mark.parametrize("keep", [75.0, 50.0, 30.0])
def test_filters_are_pillows(photos, interpolation, keep):
    # both widen the filter by the factor and leave out of it what lies outside the image; sides of 41 and 53 pixels
    # have no place that is as near to one pixel as to another
    x, how = photos(2, 3, 41, 53), PILLOW[interpolation]
    height, width = (round(side * keep / 100) for side in (41, 53))
    small = per_plane(x, lambda plane: Image.fromarray(plane).resize((width, height), how)).clamp(0, 1)
    found = Downsampling(keep=keep, interpolation=interpolation, restore=False)(x)
    torch.testing.assert_close(found.flatten(0, 1), small, rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_restores_by_pillows_filter(photos, interpolation):
    x, how = photos(2, 3, 41, 53), PILLOW[interpolation]
    small = per_plane(x, lambda plane: Image.fromarray(plane).resize((40, 31), how))
    back = per_plane(small[:, None], lambda plane: Image.fromarray(plane).resize((53, 41), how)).clamp(0, 1)
    found = Downsampling(interpolation=interpolation)(x)
    torch.testing.assert_close(found.flatten(0, 1), back, rtol=0, atol=1e-5)


def test_nearest_repeats_pixels(photos):
    x = photos(1, 1, 8, 12)
    doubled = Downsampling(keep=50.0, interpolation="nearest")(x)
    assert torch.equal(doubled, x[:, :, 1::2, 1::2].repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("interpolation", ["area", *PILLOW])
def test_keeping_all_is_the_identity(photos, interpolation):
    x = photos()
    torch.testing.assert_close(Downsampling(keep=100.0, interpolation=interpolation)(x), x, rtol=0, atol=1e-6)


def test_area_keeps_the_mean_and_tiny_images(photos):
    x = photos(2, 3, 24, 36)
    small = Downsampling(keep=50.0, restore=False)(x)
    torch.testing.assert_close(small.mean(dim=(2, 3)), x.mean(dim=(2, 3)))
    one = Downsampling(keep=1.0)(photos(1, 1, 3, 2))
    assert one.shape == (1, 1, 3, 2)
    assert one.max() - one.min() < 1e-6


@pytest.mark.parametrize("interpolation", ["area", *PILLOW])
def test_gradient(interpolation):
    x = 0.3 + 0.4 * torch.rand(1, 2, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    defense = Downsampling(interpolation=interpolation)
    assert torch.autograd.gradcheck(lambda x: defense.transform(x, rng=None), x.requires_grad_())


@pytest.mark.parametrize("bad", [{"keep": 0}, {"keep": 101}, {"keep": float("nan")}, {"interpolation": "lanczos"}])
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        Downsampling(**bad)


def test_maps_of_another_size_than_their_images_are_refused():
    shrunk = Downsampling(restore=False)
    shrunk.check_task(Recognition(classes=10))
    with pytest.raises(ConfigError, match="expected restore = true"):
        shrunk.check_task(Segmentation(classes=3))
    Downsampling().check_task(Segmentation(classes=3))
