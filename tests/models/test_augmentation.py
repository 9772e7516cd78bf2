"""What training images go through: mirrored, shifted, recoloured, blurred, noisy; maps with them."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from foolbench.models.training import Training, _augment, _blurred

TRAINING = Training(epochs=1, batch_size=32, shift=1, flip=False)


@pytest.mark.parametrize(
    ("switches", "check"),
    [
        ({"flip": False, "shift": 0, "permute_channels": False}, lambda x, y: torch.equal(x, y)),
        ({"flip": True, "shift": 0, "permute_channels": False}, lambda x, y: torch.equal(x.sum(3), y.sum(3))),
        ({"flip": False, "shift": 0, "permute_channels": True}, lambda x, y: torch.allclose(x.sum(1), y.sum(1))),
        ({"flip": False, "shift": 2, "permute_channels": False}, lambda x, y: set(y.unique()) <= set(x.unique())),
    ],
    ids=["none", "flip", "permute", "shift"],
)
def test_augmentation_does_what_is_switched_on(switches, check):
    x = torch.randint(0, 256, (16, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    y, _ = _augment(x, torch.zeros(16), replace(TRAINING, **switches), torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert torch.equal(x, y) != any(switches.values())
    assert check(x, y) or (switches["shift"] and bool(torch.isin(y, x).all()))


def test_blur_is_a_gaussian_of_each_images_own_width():
    deviations = torch.tensor([0.0, 0.7, 1.5])
    x = torch.rand(3, 2, 24, 20, generator=torch.Generator().manual_seed(0))
    blurred = _blurred(x, deviations, reach=5)
    assert torch.equal(blurred[0], x[0])
    for image, found, deviation in zip(x[1:], blurred[1:], deviations[1:], strict=True):
        spreads = (0, float(deviation), float(deviation))
        expected = scipy.ndimage.gaussian_filter(image.double().numpy(), spreads, mode="nearest", radius=5)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_noise_has_any_deviation_up_to_the_largest():
    x = torch.full((400, 1, 32, 32), 0.5)
    noisy, _ = _augment(x, torch.zeros(400), replace(TRAINING, shift=0, noise=0.1), torch.Generator().manual_seed(1))
    spreads = (noisy - x).flatten(1).std(dim=1)
    assert 0 < float(spreads.min()) < 0.005
    assert 0.095 < float(spreads.max()) < 0.11
    assert float(spreads.mean()) == pytest.approx(0.05, abs=0.006)
    bright, _ = _augment(
        torch.ones_like(x), torch.zeros(400), replace(TRAINING, noise=0.1), torch.Generator().manual_seed(1)
    )
    assert 0 <= float(bright.min()) < float(bright.max()) == 1


def test_a_map_moves_with_its_image():
    """Bright pixels are of class 1, whatever is mirrored and shifted."""
    x = (torch.rand(16, 1, 9, 7, generator=torch.Generator().manual_seed(0)) > 0.5).float().expand(-1, 3, -1, -1)
    moved, maps = _augment(x, x[:, 0].long(), replace(TRAINING, flip=True, shift=3), torch.Generator().manual_seed(1))
    assert torch.equal(moved[:, 0].long(), maps)
    assert not torch.equal(moved, x)
