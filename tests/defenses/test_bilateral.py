"""Bilateral smoothing agrees with OpenCV, borders included, up to the table from which OpenCV reads its weights."""

import cv2
import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.defenses import BilateralSmoothing, GaussianSmoothing


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size", "color", "space"), [(3, 0.1, 1.0), (5, 0.2, 2.0), (7, 0.05, 1.5), (9, 0.8, 3.0)])
def test_is_opencvs(photos, channels, size, color, space):
    # borders mirror all but the edge pixel; OpenCV interpolates 4096 weights per channel linearly
    x = photos(3, channels, 33, 40)
    expected = [
        cv2.bilateralFilter(image.permute(1, 2, 0).numpy(), size, color, space, borderType=cv2.BORDER_REFLECT_101)
        for image in x
    ]
    expected = torch.from_numpy(np.stack(expected).reshape(3, 33, 40, channels)).permute(0, 3, 1, 2)
    found = BilateralSmoothing(size=size, sigma_color=color, sigma_space=space)(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_by_its_formula(photos):
    # interior pixels, in double precision; two channels, which OpenCV does not take
    x, size, color, space = photos(1, 2, 12, 11), 5, 0.3, 1.3
    found, image = BilateralSmoothing(size=size, sigma_color=color, sigma_space=space)(x)[0], x[0].double()
    for row, column in ((2, 2), (5, 7), (9, 8)):
        total, weights = torch.zeros(2, dtype=torch.float64), 0.0
        for down in range(-2, 3):
            for right in range(-2, 3):
                if down**2 + right**2 > 4:
                    continue
                other = image[:, row + down, column + right]
                apart = float((other - image[:, row, column]).abs().sum())
                weight = np.exp(-(apart**2) / (2 * color**2) - (down**2 + right**2) / (2 * space**2))
                total, weights = total + weight * other, weights + weight
        torch.testing.assert_close(found[:, row, column].double(), total / weights, rtol=0, atol=1e-6)


def test_keeps_an_edge_that_a_gaussian_blurs():
    edge = 0.2 + 0.6 * (torch.arange(16) >= 8).float().expand(1, 3, 16, 16)
    torch.testing.assert_close(BilateralSmoothing(sigma_color=0.1)(edge), edge, rtol=0, atol=1e-5)
    assert (GaussianSmoothing()(edge) - edge).abs().max() > 0.1


def test_smooths_what_is_faint(photos):
    faint = 0.5 + 0.01 * torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    assert BilateralSmoothing()(faint).std() < 0.5 * faint.std()
    x = photos()
    after = BilateralSmoothing()(x)
    assert x.amin() - 1e-6 <= after.amin() <= after.amax() <= x.amax() + 1e-6


def test_gradient():
    x = 0.1 + 0.8 * torch.rand(1, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: BilateralSmoothing().transform(x, rng=None), x.requires_grad_())


def test_images_smaller_than_the_window(photos):
    BilateralSmoothing()(photos(1, 3, 3, 9))
    with pytest.raises(InputError, match=r"larger than 2 pixels a side, got \(9, 2\)"):
        BilateralSmoothing()(photos(1, 3, 9, 2))


@pytest.mark.parametrize(
    "bad", [{"size": 4}, {"size": 1}, {"sigma_color": 0}, {"sigma_space": float("nan")}, {"sigma_color": float("inf")}]
)
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match="Expected"):
        BilateralSmoothing(**bad)
