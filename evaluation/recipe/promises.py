"""What a data set promises, checked when it is opened: a table is worth as much as the images behind it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ...core.dataset import Dataset
from ...core.errors import ConfigError, FoolbenchError, one_line
from ...core.images import check_images
from ...core.registry import datasets
from ...core.seeding import derive_key

LOOKED_AT = 64
MEMBERS = ("name", "task", "shape", "fingerprint", "labels", "load", "training", "__len__")


def open_dataset(name: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Dataset:
    """A data set that keeps its promises. Raises ConfigError, in one sentence, for the first that is broken."""
    dataset = make_dataset(name, parameters)
    _check_fingerprint(dataset, name)
    samples = looked_at(dataset)
    images, targets = _loaded(dataset, name, samples)
    again = _loaded(dataset, name, samples)
    if not (torch.equal(images, again[0]) and _equal(targets, again[1])):
        raise ConfigError(
            f"Data set {name} loads other images or targets for the same samples at a second call; leave random crops, "
            "flips and shuffling out of it."
        )
    _check_labels(dataset, name, samples, targets)
    return dataset


def make_dataset(name: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Dataset:
    """The same, checked as far as can be without its images."""
    dataset: Any = datasets.bind(name, parameters)()
    lacks = [member for member in MEMBERS if not hasattr(dataset, member)]
    if lacks:
        raise ConfigError(
            f"Expected data set {name} to be a foolbench.core.Dataset, but {type(dataset).__name__} lacks "
            f"{' and '.join(lacks)}."
        )
    shape = dataset.shape
    if not isinstance(shape, Sequence) or len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ConfigError(f"Expected the shape of data set {name} to be (channels, height, width), got {shape!r}.")
    if len(dataset) == 0:
        raise ConfigError(f"Expected evaluation images in data set {name}, got none.")
    return dataset


def looked_at(dataset: Dataset) -> list[int]:
    """The evaluation samples that are checked, and by which the data are known again."""
    order = sorted(range(len(dataset)), key=lambda index: derive_key("looked at", index))
    return sorted(order[:LOOKED_AT])


def _check_fingerprint(dataset: Dataset, name: str) -> None:
    if not isinstance(dataset.fingerprint, str) or not dataset.fingerprint:
        raise ConfigError(
            f"Expected the fingerprint of data set {name} to be a text that changes with the data, as a hash of them, "
            f"got {dataset.fingerprint!r}."
        )


def _loaded(dataset: Dataset, name: str, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """Images and targets that are what the contract says."""
    try:
        pair: Any = dataset.load(samples)
    except FoolbenchError:
        raise
    except Exception as error:  # whatever foreign code raises is the message
        raise ConfigError(f"Data set {name} cannot load samples {samples[:3]}...: {one_line(error)}") from error
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ConfigError(f"Expected data set {name} to load (images, targets), got {type(pair).__name__}.")
    images, targets = pair
    try:
        check_images(images, tuple(dataset.shape))
        if targets is not None:
            dataset.task.check_targets(targets, len(samples))
    except FoolbenchError as error:
        raise ConfigError(f"Data set {name} loads something else than it promises: {error}") from None
    if images.device.type != "cpu" or len(images) != len(samples):
        raise ConfigError(
            f"Expected data set {name} to load {len(samples)} images on the CPU for as many samples, got {len(images)} "
            f"on {images.device}."
        )
    return images, targets


def _check_labels(dataset: Dataset, name: str, samples: Sequence[int], targets: Tensor | None) -> None:
    labels = dataset.labels
    if labels is None:
        return
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (len(dataset),):
        got = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise ConfigError(
            f"Expected labels of data set {name} as an int64 tensor ({len(dataset)},) or None, got {got}."
        )
    if targets is None or (targets.ndim == 1 and not torch.equal(labels[list(samples)], targets)):
        raise ConfigError(f"Expected data set {name} to load the targets that its labels say, got others.")


def _equal(targets: Tensor | None, others: Tensor | None) -> bool:
    return targets is others is None or (targets is not None and others is not None and torch.equal(targets, others))
