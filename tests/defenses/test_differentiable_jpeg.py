"""The JPEG that has a gradient stays near to the codec, and quantizes by the same tables."""

import io

import numpy as np
import pytest
import torch
from foolbench.defenses import JPEG, adaptive
from foolbench.defenses._differentiable_jpeg import CHROMA, LUMA, scaled
from PIL import Image


@pytest.mark.parametrize("quality", [*range(1, 101, 9), 49, 50, 51])
def test_tables_are_those_of_a_saved_file(quality):
    file = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(file, "JPEG", quality=quality)
    assert Image.open(file).quantization == {0: [*scaled(LUMA, quality)], 1: [*scaled(CHROMA, quality)]}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(32, 40), (64, 48), (37, 45), (9, 5)])
@pytest.mark.parametrize("quality", [10, 50, 75, 95])
def test_is_near_the_codec(photos, channels, height, width, quality):
    x, defense = photos(4, channels, height, width), JPEG(quality=quality)
    coded = defense(x)
    difference = (defense.surrogate(x, rng=None) - coded).abs().mean()
    assert difference < (0.025 if width == 5 else 0.01)  # a few pixels of noise, half of them at a border
    assert difference < 0.4 * (x - coded).abs().mean()


def test_gradient():
    x = torch.rand(1, 3, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = (0.3 + 0.4 * x).requires_grad_()  # away from both bounds, where clamping has a corner
    assert torch.autograd.gradcheck(lambda x: JPEG(quality=90).surrogate(x, rng=None), x)


def test_where_the_cubic_is_flat_a_leaky_one_is_not():
    """On a grey image every frequency but the mean is 0, a whole number."""
    x = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64, requires_grad=True)
    waves = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(4).expand(8, 8)
    slopes = {}
    for name, surrogate in JPEG().surrogates.items():
        (gradient,) = torch.autograd.grad((waves * surrogate(x, rng=None)).sum(), x)
        slopes[name] = float((waves * gradient).sum()) / 64
    assert slopes["cubic"] == pytest.approx(0, abs=1e-9)
    assert slopes["leaky"] == pytest.approx(0.1, abs=1e-6)


def test_a_gradient_comes_through_the_defended_model(photos, linear_model):
    x = photos(2, 3, 8, 8).requires_grad_()
    outputs = adaptive(JPEG(), linear_model(5, (3, 8, 8))).logits(x)
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.flatten(1).any(dim=1).all()
