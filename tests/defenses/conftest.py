"""Photograph-like images of any size and number."""

import pytest
import torch
from foolbench.evaluation.conformance.checks import images


@pytest.fixture
def photos():
    """(count, channels, height, width) -> the images of the conformance kit; another seed gives others."""

    def make(count: int = 4, channels: int = 3, height: int = 32, width: int = 40, seed: int = 0) -> torch.Tensor:
        return images((seed + 1) * count, (channels, height, width))[seed * count :]

    return make
