"""Photograph-like images and the defenses of the registry."""

import pytest
import torch
from torch.nn import functional as F


@pytest.fixture
def photos():
    """(count, channels, height, width) -> smooth structure, noise and pixels at both bounds, in steps of 1/255."""

    def make(count: int = 4, channels: int = 3, height: int = 32, width: int = 40, seed: int = 0) -> torch.Tensor:
        rng = torch.Generator().manual_seed(seed)
        coarse = torch.rand(count, channels, 4, 5, generator=rng)
        smooth = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
        noisy = 1.4 * smooth - 0.2 + 0.05 * torch.randn(smooth.shape, generator=rng)
        return (noisy.clamp(0, 1) * 255).round() / 255

    return make
