"""JPEG is the real codec: what Pillow, another program with the same standard, stores and reads."""

import io

import numpy as np
import pytest
import torch
from foolbench.core import InputError
from foolbench.defenses import JPEG
from PIL import Image


def pillow(x: torch.Tensor, quality: int) -> torch.Tensor:
    """The same images through Pillow, chroma 4:2:0."""
    decoded = []
    for image in (x * 255).round().to(torch.uint8):
        file = io.BytesIO()
        array = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
        facts = {} if len(image) == 1 else {"subsampling": "4:2:0"}
        Image.fromarray(array).save(file, "JPEG", quality=quality, **facts)
        pixels = np.array(Image.open(file)).reshape(*array.shape[:2], -1)
        decoded.append(torch.from_numpy(pixels).permute(2, 0, 1))
    return torch.stack(decoded).float() / 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [10, 50, 75, 95])
def test_agrees_with_pillow(photos, channels, quality):
    # the standard leaves the rounding of the transforms open: one step of 255, rarely more where chroma is interpolated
    x = photos(4, channels, 37, 45)
    difference = (JPEG(quality=quality)(x) - pillow(x, quality)).abs() * 255
    assert difference.max() <= 4.5
    assert (difference > 1.5).float().mean() < 0.02
    assert difference.mean() < 0.25


def test_default_is_quality_75_and_channels_keep_their_order(photos):
    x = photos()
    assert JPEG() == JPEG(quality=75)
    red = torch.zeros(1, 3, 16, 16)
    red[:, 0] = 1
    assert (JPEG()(red) - red).abs().max() < 3 / 255
    assert (JPEG()(x) - x).abs().mean() < 0.05


def test_chroma_is_halved():
    # columns of red and green in turn: 4:2:0 keeps their brightness, not their colour
    x = torch.zeros(1, 3, 16, 16)
    x[:, 0, :, ::2] = 0.5
    x[:, 1, :, 1::2] = 0.5
    after = JPEG(quality=100)(x)
    colour = (after[:, 0] - after[:, 1]).abs().mean()
    assert colour < 0.3 * (x[:, 0] - x[:, 1]).abs().mean()


def test_a_better_quality_is_closer(photos):
    x = photos()
    errors = [float((JPEG(quality=quality)(x) - x).square().mean()) for quality in (5, 25, 50, 75, 90, 100)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 5 * errors[-1]


def test_a_second_pass_changes_little(photos):
    x = photos()
    once = JPEG()(x)
    twice = JPEG()(once)
    assert (twice - once).abs().mean() < 0.5 * (once - x).abs().mean()


def test_output_is_what_a_file_can_hold(photos):
    levels = JPEG()(photos()) * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (8, 8)])
def test_tiny_images(shape):
    for channels in (1, 3):
        x = torch.full((2, channels, *shape), 100 / 255)
        torch.testing.assert_close(JPEG()(x), x, rtol=0, atol=2 / 255)


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channels(photos, channels):
    with pytest.raises(InputError, match=f"1 or 3 channels, got {channels}"):
        JPEG()(photos(1, channels))
