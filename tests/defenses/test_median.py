"""The median agrees with OpenCV and SciPy exactly, borders included; they repeat the edge pixel."""

import cv2
import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.defenses import MedianSmoothing
from scipy.ndimage import median_filter
from torch.nn import functional as F


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_is_scipys(photos, channels, size):
    x = photos(3, channels)
    expected = torch.from_numpy(median_filter(x.numpy(), (1, 1, size, size), mode="nearest"))
    assert torch.equal(MedianSmoothing(size=size)(x), expected)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_is_opencvs(photos, size):
    x = photos(2)  # for windows beyond 5 OpenCV takes bytes only
    planes = [cv2.medianBlur((plane * 255).round().byte().numpy(), size) for plane in x.flatten(0, 1)]
    expected = torch.from_numpy(np.stack(planes)).float().reshape(x.shape) / 255
    torch.testing.assert_close(MedianSmoothing(size=size)(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_gradient_where_no_two_pixels_are_equal(size):
    x = torch.rand(2, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: MedianSmoothing(size=size).transform(x, rng=None), x)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_gradient_among_equal_pixels(photos, size):
    # what comes in goes out, to pixels that hold their window's median only, in equal parts
    x = ((photos() * 4).round() / 4).requires_grad_()
    after = MedianSmoothing(size=size)(x)
    (gradient,) = torch.autograd.grad(after[:, :, 10, 10].sum(), x)
    torch.testing.assert_close(gradient.sum(dim=(2, 3)), torch.ones(4, 3))
    around = F.pad(x, (size // 2,) * 4, mode="replicate")[:, :, 10 : 10 + size, 10 : 10 + size]
    there = (around == after[:, :, 10, 10, None, None]).float()
    corner = 10 - size // 2
    found = gradient[:, :, corner : corner + size, corner : corner + size]
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


@pytest.mark.parametrize("size", [0, 1, 2, 4, -3])
def test_bad_parameters(size):
    with pytest.raises(ConfigError, match="Expected an odd window size"):
        MedianSmoothing(size=size)
