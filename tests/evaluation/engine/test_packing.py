"""Packed images come back to the last bit."""

import pytest
import torch
from foolbench.evaluation.engine.cache.packing import Packed, decompressed, packed, unpacked


@pytest.fixture
def clean():
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def around(clean, *, scale):
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return (clean + scale * noise).clamp(0, 1)


SPECIAL = torch.tensor([0.0, -0.0, 1.0, 1e-45, 1 - 2**-24, float("inf"), float("nan"), 0.1])


@pytest.mark.parametrize("scale", [0.0, 1e-9, 0.01, 10.0])
def test_floats_are_the_same_bits(clean, scale):
    images = around(clean, scale=scale)
    images[0, 0, 0, :8] = SPECIAL
    found = unpacked(decompressed(packed(images, clean)), clean)
    assert torch.equal(found.view(torch.int32), images.view(torch.int32))


def test_levels_are_the_same(clean):
    images = (255 * around(clean, scale=0.5)).round().to(torch.uint8)
    assert torch.equal(unpacked(decompressed(packed(images, clean)), clean), images)


def test_signed_steps_take_a_tenth_of_the_room(clean):
    steps = torch.randint(2, clean.shape, generator=torch.Generator().manual_seed(2)) * 2 - 1
    x = torch.randint(256, clean.shape, generator=torch.Generator().manual_seed(3)) / 255
    images = (x + 8 / 255 * steps).clamp(0, 1)
    assert packed(images, x).data.nbytes < 0.2 * images.nbytes


def test_damaged_data_and_differences_of_others_are_refused(clean):
    data, planes = packed(clean, clean)
    for damaged in (data[:-3], data[5:], torch.zeros(10, dtype=torch.uint8)):
        with pytest.raises(ValueError, match=r"."):
            decompressed(Packed(damaged, planes))
    with pytest.raises(ValueError, match="expected 1, 4 or 8 planes, got 5"):
        decompressed(Packed(data, 5))
    with pytest.raises(ValueError, match="expected differences of 3840 numbers, got 1536"):
        unpacked(decompressed(packed(clean[:2], clean[:2])), clean)
