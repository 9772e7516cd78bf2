"""Where OpenCV does the work, on the CPU, it gives what the transforms written in torch give, and their gradient."""

import sys

import pytest
import torch
from foolbench.core import Draws
from foolbench.defenses import (
    BilateralSmoothing,
    CropEnsemble,
    Downsampling,
    GaussianSmoothing,
    MedianSmoothing,
    ResizePad,
    TenCrop,
    _filling,
)
from foolbench.defenses._filling import filled
from foolbench.defenses._opencv import linear, suits

ALL = [
    BilateralSmoothing(),
    BilateralSmoothing(sigma_color=0.01),  # always in torch
    CropEnsemble(crops=3),
    Downsampling(),
    Downsampling(keep=40, restore=False),
    GaussianSmoothing(sigma=1.7),
    MedianSmoothing(),
    MedianSmoothing(size=4),
    ResizePad(),
    ResizePad(min_scale=0.4, value=0.0),
    TenCrop(),
    TenCrop(fraction=0.33),
]


@pytest.mark.parametrize("defense", ALL, ids=repr)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 33, 40), (3, 128, 97), (2, 20, 150)])
def test_with_and_without_gradient(photos, defense, channels, height, width):
    x = photos(2, channels, height, width)
    traced = defense.transform(x.clone().requires_grad_(), rng=Draws.of(0, samples=range(2)))
    assert traced.requires_grad
    found = defense.transform(x, rng=Draws.of(0, samples=range(2)))
    assert torch.equal(found, traced.detach())


@pytest.mark.parametrize("defense", ALL, ids=repr)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 33, 40), (3, 128, 97), (2, 20, 150)])
def test_value_and_gradient_are_those_of_torch(photos, monkeypatch, defense, channels, height, width):
    def value_and_gradient():
        x = photos(2, channels, height, width).requires_grad_()
        after = defense.transform(x, rng=Draws.of(0, samples=range(2)))
        return after.detach(), torch.autograd.grad(after.square().sum(), x)[0]

    found, slope = value_and_gradient()
    module = sys.modules[type(defense).__module__]
    monkeypatch.setattr(module, "suits", lambda x: False)
    expected, expected_slope = value_and_gradient()
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)  # 1e-5 pixels in grid_sample
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-3)


def test_the_filling_of_dropped_pixels(photos, monkeypatch):
    x = photos(2, 3, 33, 40).requires_grad_()
    kept = Draws.of(0, samples=range(2)).uniform((1, 33, 40)) > 0.5

    def value_and_gradient():
        after = filled(x, kept)
        return after.detach(), torch.autograd.grad(after.square().sum(), x)[0]

    found = value_and_gradient()
    monkeypatch.setattr(_filling, "suits", lambda x: False)
    torch.testing.assert_close(found, value_and_gradient(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("order", [1, 2])
def test_a_linear_map_and_its_adjoint(order):
    matrix = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    assert_gradient = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    assert assert_gradient(lambda x: linear(x, lambda x: x.detach() @ matrix.T, lambda g: g.detach() @ matrix) ** 2, x)


def test_what_it_suits():
    x = torch.rand(1, 3, 8, 8)
    assert suits(x)
    assert not suits(x.double())
    assert not suits(x.to("meta"))
