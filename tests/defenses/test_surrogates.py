"""What stands in for transforms: near to them, and differentiable on images of any size."""

import pytest
import torch
from foolbench.core import Draws
from foolbench.defenses import GaussianSmoothing
from foolbench.defenses._surrogates import smooth


def test_smooth_is_a_gaussian_blur_inside(photos):
    x = photos(2, 3, 32, 40)
    inside = (..., slice(5, -5), slice(5, -5))
    expected = GaussianSmoothing(sigma=1.0)(x)  # cut off at 3 sigma
    torch.testing.assert_close(smooth(x, rng=None)[inside], expected[inside], rtol=0, atol=5e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (3, 2), (24, 16)])
def test_smooth_keeps_constant_images_of_any_size(shape):
    x = torch.full((2, 3, *shape), 0.4)
    torch.testing.assert_close(smooth(x, rng=Draws.of(0, samples=range(2))), x)
