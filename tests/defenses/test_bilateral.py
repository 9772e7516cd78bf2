"""Bilateral smoothing is its formula, borders included, up to the table from which OpenCV reads its weights."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.defenses import BilateralSmoothing, GaussianSmoothing
from kornia.filters import bilateral_blur


def by_the_formula(image, size, color, space):
    """Every pixel of one image (C, H, W) in double precision; borders mirror all but the edge pixel."""
    radius = size // 2
    padded = np.pad(image.double().numpy(), [(0, 0), (radius, radius), (radius, radius)], mode="reflect")
    offsets = np.arange(-radius, radius + 1)
    squares = offsets[:, None] ** 2 + offsets**2
    disk = squares <= radius**2
    result = np.empty(image.shape)
    for row, column in np.ndindex(*image.shape[1:]):
        window = padded[:, row : row + size, column : column + size]
        apart = np.abs(window - padded[:, row + radius, column + radius, None, None]).sum(axis=0)
        weights = disk * np.exp(-(apart**2) / (2 * color**2) - squares / (2 * space**2))
        result[:, row, column] = (weights * window).sum(axis=(1, 2)) / weights.sum()
    return torch.from_numpy(result)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "color", "space"), [(3, 0.1, 1.0), (5, 0.2, 2.0), (5, 0.03, 1.0), (7, 0.05, 1.5), (9, 0.8, 3.0)]
)
def test_by_its_formula(photos, channels, size, color, space):
    # two channels and the smallest sigma_color are computed in torch, the others by OpenCV with its table of weights
    x = photos(1, channels, 12, 15)
    found = BilateralSmoothing(size=size, sigma_color=color, sigma_space=space)(x)[0]
    torch.testing.assert_close(found.double(), by_the_formula(x[0], size, color, space), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "color", "space"), [(3, 0.1, 1.0), (5, 0.2, 2.0), (7, 0.05, 1.5), (9, 0.15, 3.0)])
def test_is_kornias(photos, size, color, space):
    # its window is square, ours a disk: compared is the middle of a disk that lies in a wholly other colour
    radius = size // 2
    away = torch.arange(-radius - 1, radius + 2).square()
    disk = away[:, None] + away <= radius**2
    x = torch.where(disk, 0.15 * photos(50, 3, size + 2, size + 2), 1.0)
    expected = bilateral_blur(x, size, color, (space, space), border_type="reflect", color_distance_type="l1")
    found = BilateralSmoothing(size=size, sigma_color=color, sigma_space=space)(x)
    middle = (..., radius + 1, radius + 1)
    torch.testing.assert_close(found[middle], expected[middle], rtol=0, atol=1e-5)


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
