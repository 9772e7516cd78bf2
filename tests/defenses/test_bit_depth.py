"""Bit depth: each of the three definitions in use has its own levels and its own largest error."""

import pytest
import torch
from foolbench.defenses import BitDepth

ALL = [(levels, bits) for levels in ("squeezing", "guo", "shift") for bits in range(1, 9)]
RAMP = torch.linspace(0, 1, 20_001).reshape(1, 1, 1, -1)
BYTES = (torch.arange(256) / 255).reshape(1, 1, 16, 16)


@pytest.mark.parametrize(("levels", "bits"), ALL)
def test_number_of_levels(levels, bits):
    found = BitDepth(bits=bits, levels=levels)(RAMP).unique()
    assert len(found) == 2**bits + (levels == "guo")
    assert found[0] == 0
    top = {"squeezing": 1, "guo": 1, "shift": (256 - 2 ** (8 - bits)) / 255}[levels]
    assert float(found[-1]) == pytest.approx(top)
    steps = found.diff()
    torch.testing.assert_close(steps, torch.full_like(steps, float(steps.mean())), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("levels", "bits"), ALL)
def test_error(levels, bits):
    change = (BitDepth(bits=bits, levels=levels)(RAMP) - RAMP).double()
    half = {"squeezing": 0.5 / (2**bits - 1), "guo": 0.5 / 2**bits}
    if levels in half:
        assert change.abs().max() <= half[levels] + 1e-6
        assert change.abs().max() > 0.98 * half[levels], "an image has more levels than asked for"
        assert abs(change.mean()) < 0.01 * half[levels] + 1e-6, "rounding takes no side"
    else:
        assert change.min() >= -(2.0**-bits)
        assert change.max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(("levels", "bits"), ALL)
def test_idempotent_and_monotonic(levels, bits):
    reduce = BitDepth(bits=bits, levels=levels)
    once = reduce(RAMP)
    torch.testing.assert_close(reduce(once), once, rtol=0, atol=1e-6)
    assert (once.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("bits", range(1, 9))
def test_shift_is_the_shift_of_bytes(bits):
    shifted = (torch.arange(256) >> (8 - bits)) << (8 - bits)
    after = BitDepth(bits=bits, levels="shift")(BYTES) * 255
    torch.testing.assert_close(after.flatten(), shifted.float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("levels", ["squeezing", "shift"])
def test_eight_bits_leave_an_image_file_as_it_is(levels):
    torch.testing.assert_close(BitDepth(bits=8, levels=levels)(BYTES), BYTES, rtol=0, atol=1e-7)


def test_by_hand():
    x = torch.tensor([0.0, 0.24, 0.26, 0.4, 0.6, 0.76, 1.0]).reshape(1, 1, 1, -1)
    by_hand = {
        ("squeezing", 1): [0, 0, 0, 0, 1, 1, 1],
        ("squeezing", 2): [0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1],
        ("guo", 1): [0, 0, 0.5, 0.5, 0.5, 1, 1],
        ("shift", 1): [0, 0, 0, 0, 128 / 255, 128 / 255, 128 / 255],
    }
    for (levels, bits), expected in by_hand.items():
        after = BitDepth(bits=bits, levels=levels)(x).flatten()
        torch.testing.assert_close(after, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-6)
    assert BitDepth() == BitDepth(bits=3, levels="squeezing")
