"""Training images of another data set than the network's own, in the shape it takes, as in Table 8 of GD-UAP."""

import hashlib

import torch
from torch import Tensor

from ....core.dataset import Advance, Dataset
from ....core.errors import ConfigError
from ....datasets.pictures import Pictures
from ...opening.data import make_dataset
from ...recipe.entries import Addressed
from ..memory.one_at_a_time import itself
from .resizing import Resized, resized

_TOGETHER = 64
"""The number of evaluation images that are loaded at once to be compared."""


def elsewhere(data: Addressed, dataset: Dataset) -> Dataset:
    """Return the data set that `data` names; if both are pictures, it does not train on those `dataset` evaluates."""
    found, evaluated = make_dataset(data.name, data.parameters), original(dataset)
    if isinstance(found, Pictures) and isinstance(evaluated, Pictures):
        return found.apart_from(evaluated)
    return found


def training_elsewhere(data: Addressed, count: int, dataset: Dataset, advance: Advance) -> Tensor:
    """Return the first training images of `data`, at most `count`, as uint8 (N, C, H, W) in the shape of `dataset`.

    Grey images are repeated in every channel; for a grey `dataset`, the channels of coloured ones are averaged.
    Evaluation images of `dataset` are left out. Raises ConfigError if the numbers of channels do not fit, and if no
    training images are left.
    """
    other = elsewhere(data, dataset)
    images, _ = other.training(count, advance)
    channels, *size = dataset.shape
    if 1 not in (channels, images.shape[1]) and channels != images.shape[1]:
        raise ConfigError(f"Expected training images of {channels} channels, got {images.shape[1]} in {data.label}.")
    if channels == 1:
        images = images.float().mean(dim=1, keepdim=True)
    found = resized(images.float(), size).round().clamp(0, 255).to(torch.uint8)
    found = found.expand(-1, channels, -1, -1).contiguous()
    by_content = isinstance(other, Pictures) and isinstance(original(dataset), Pictures)
    return found if by_content else _unseen(found, data, dataset)


def _unseen(images: Tensor, data: Addressed, dataset: Dataset) -> Tensor:
    """Return the images without those whose pixels equal an evaluation image's. Raises ConfigError if none is left."""
    evaluated: set[bytes] = set()
    for start in range(0, len(dataset), _TOGETHER):
        x, _ = dataset.load(range(start, min(start + _TOGETHER, len(dataset))))
        evaluated |= {_hash(image) for image in (x * 255).round().to(torch.uint8)}
    left = [place for place, image in enumerate(images) if _hash(image) not in evaluated]
    if not left:
        raise ConfigError(f"All training images of {data.label} are among the evaluation images; name others.")
    return images[left]


def original(dataset: Dataset) -> Dataset:
    """Return the data set without the wrappers that resize it or read it ahead."""
    found = itself(dataset)
    return found.original if isinstance(found, Resized) else found


def _hash(image: Tensor) -> bytes:
    return hashlib.sha256(image.numpy().tobytes()).digest()
