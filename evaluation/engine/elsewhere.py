"""Training images of other data than a network's own, as it takes them: Table 8 of GD-UAP crafts on those."""

import torch
from torch import Tensor

from ...core.dataset import Advance, Dataset
from ...core.errors import ConfigError
from ..recipe.entries import Addressed
from ..recipe.opening import make_dataset
from .resizing import resized


def training_elsewhere(data: Addressed, count: int, dataset: Dataset, advance: Advance) -> Tensor:
    """The first training images of `data`, uint8 (N, C, H, W), in the shape of those of `dataset`; at most `count`.

    Grey ones are repeated in every channel, of coloured ones a grey network gets the mean. Raises ConfigError for
    other numbers of channels, and where there are no training images.
    """
    images, _ = make_dataset(data.name, data.parameters).training(count, advance)
    channels, *size = dataset.shape
    if 1 not in (channels, images.shape[1]) and channels != images.shape[1]:
        raise ConfigError(f"Expected training images of {channels} channels, got {images.shape[1]} in {data.label}.")
    if channels == 1:
        images = images.float().mean(dim=1, keepdim=True)
    found = resized(images.float(), size).round().clamp(0, 255).to(torch.uint8)
    return found.expand(-1, channels, -1, -1).contiguous()
