"""The median agrees with OpenCV, SciPy and kornia exactly; borders repeat the edge pixel."""

import sys

import cv2
import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.defenses import MedianSmoothing
from kornia.filters import median_blur
from scipy.ndimage import median_filter


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7])
def test_is_scipys(photos, channels, size):
    x = photos(3, channels)
    expected = torch.from_numpy(median_filter(x.numpy(), (1, 1, size, size), mode="nearest"))
    assert torch.equal(MedianSmoothing(size=size)(x), expected)


@pytest.mark.parametrize("at_a_time", [1, 10_000, 2**26])
def test_is_scipys_where_opencv_does_not_help(photos, monkeypatch, at_a_time):
    # what runs on a GPU: an image at a time, two, all of them
    monkeypatch.setattr(sys.modules[MedianSmoothing.__module__], "_AT_A_TIME", at_a_time)
    x = photos(5, 3, 12, 10).double()
    for size in (2, 3, 5):
        expected = torch.from_numpy(median_filter(x.numpy(), (1, 1, size, size), mode="nearest"))
        assert torch.equal(MedianSmoothing(size=size).transform(x, rng=None), expected)


@pytest.mark.parametrize("size", [2, 3])
def test_small_windows_are_those_of_feature_squeezing(photos, size):
    # its code calls SciPy with borders that mirror the edge pixel, too
    x = photos()
    expected = torch.from_numpy(median_filter(x.numpy(), (1, 1, size, size), mode="reflect"))
    assert torch.equal(MedianSmoothing(size=size)(x), expected)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_is_kornias(photos, size):
    # exactly; beyond its borders there is black, so the comparison is inside
    x, radius = photos(), size // 2
    expected = median_blur(x, size)[..., radius:-radius, radius:-radius]
    assert torch.equal(MedianSmoothing(size=size)(x)[..., radius:-radius, radius:-radius], expected)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_is_opencvs(photos, size):
    x = photos(2)  # for windows beyond 5 OpenCV takes bytes only
    planes = [cv2.medianBlur((plane * 255).round().byte().numpy(), size) for plane in x.flatten(0, 1)]
    expected = torch.from_numpy(np.stack(planes)).float().reshape(x.shape) / 255
    torch.testing.assert_close(MedianSmoothing(size=size)(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7])
def test_gradient_where_no_two_pixels_are_equal(size):
    x = torch.rand(2, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: MedianSmoothing(size=size).transform(x, rng=None), x)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7])
def test_gradient_among_equal_pixels(photos, size):
    # what comes in goes out, to pixels that hold their window's median only, in equal parts
    x = ((photos() * 4).round() / 4).requires_grad_()
    after = MedianSmoothing(size=size)(x)
    (gradient,) = torch.autograd.grad(after[:, :, 10, 10].sum(), x)
    torch.testing.assert_close(gradient.sum(dim=(2, 3)), torch.ones(4, 3))
    window = (..., *(slice(10 - size // 2, 10 - size // 2 + size),) * 2)
    there = (x[window] == after[:, :, 10, 10, None, None]).float()
    found = gradient[window]
    torch.testing.assert_close(found, there / there.sum(dim=(2, 3), keepdim=True))


def test_removes_an_impulse_and_keeps_an_edge():
    edge = (torch.arange(12) >= 5).float().expand(1, 1, 12, 12)
    dirty = edge.clone()
    dirty[..., 3, 8], dirty[..., 9, 2], dirty[..., 0, 0] = 0, 1, 1
    assert torch.equal(MedianSmoothing(size=3)(dirty), edge)


def test_images_smaller_than_the_window(photos):
    MedianSmoothing(size=5)(photos(1, 3, 3, 9))
    with pytest.raises(InputError, match=r"larger than 2 pixels a side, got \(9, 2\)"):
        MedianSmoothing(size=5)(photos(1, 3, 9, 2))


@pytest.mark.parametrize("size", [0, 1, -3])
def test_bad_parameters(size):
    with pytest.raises(ConfigError, match="Expected a window size of at least 2 pixels"):
        MedianSmoothing(size=size)
