"""Checks of data sets. A check's docstring is the promise; if it is broken, one sentence says what was seen instead."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...core.dataset import Dataset, truths_of
from ...core.errors import FoolbenchError, InputError, one_line
from ...core.images import check_images
from ..grid.sampling import looked_at
from .checks import Check, global_random_states, hold
from .targets import check_targets

Loaded = tuple[Tensor, Tensor | None]

COUNT = 8
COMPARED = 512
"""The number of training images that are compared with as many evaluation images."""
FACTS = ("name", "task", "shape", "fingerprint", "labels", "load", "training")


def facts_are_stated(dataset: Dataset) -> None:
    """The data set states its name, its task, the shape of its images, and how many there are."""
    for fact in FACTS:
        hold(hasattr(dataset, fact), f"{type(dataset).__name__} has no {fact}; see foolbench.core.Dataset.")
    hold(isinstance(dataset.name, str), f"Its name is {dataset.name!r}; give it text.")
    shape: object = dataset.shape
    whole = (
        isinstance(shape, Sequence) and len(shape) == 3 and all(isinstance(side, int) and side > 0 for side in shape)
    )
    hold(whole, f"Its shape is {shape!r}; give (channels, height, width).")
    hold(hasattr(dataset.task, "check_targets"), f"Its task is {dataset.task!r}; give one of foolbench.tasks.")
    hold(hasattr(type(dataset), "__len__"), "It has no length; add __len__, the number of its evaluation images.")
    hold(len(dataset) > 0, "It has no evaluation images.")


def fingerprint_names_the_data(dataset: Dataset) -> None:
    """The fingerprint is text, and the same at every access."""
    first, again = dataset.fingerprint, dataset.fingerprint
    named = isinstance(first, str) and bool(first.strip())
    hold(named, f"Its fingerprint is {first!r}; give a hash of all evaluation images and targets.")
    hold(first == again, f"Its fingerprint is {first!r}, then {again!r}; hash the data and nothing else.")


def labels_are_for_every_image(dataset: Dataset) -> None:
    """The labels, if there are any, are int64 (N,), one for each evaluation image."""
    labels: object = dataset.labels
    if labels is not None:
        known = isinstance(labels, Tensor) and labels.dtype == torch.int64 and labels.shape == (len(dataset),)
        got = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        hold(known, f"Its labels are {got}; give an int64 tensor ({len(dataset)},), or None.")


def images_are_images(dataset: Dataset) -> None:
    """Evaluation images are float32 (N, C, H, W) in [0, 1], of the stated shape, one for each sample, on the CPU."""
    for samples in _some(dataset):
        found: Any = dataset.load(samples)
        pair = isinstance(found, tuple) and len(found) == 2
        hold(pair, f"load gives {type(found).__name__}; give the pair (images, targets).")
        x, what = found[0], _loading(samples)
        try:
            check_images(x, tuple(dataset.shape))
        except InputError as error:
            hold(False, f"{what}: {error}")
        hold(len(x) == len(samples), f"{what} gives {len(x)} images; give {len(samples)}.")
        hold(x.device.type == "cpu", f"{what} gives images on {x.device}; leave them on the CPU.")


def targets_fit_the_task(dataset: Dataset) -> None:
    """The targets have the type, shape and values of the task, and agree with `labels` if there are any."""
    for samples in _some(dataset):
        y = dataset.load(samples)[1]
        _hold_targets(dataset, _loading(samples), y, samples)
        if dataset.labels is not None and y is not None and y.ndim == 1:
            same = torch.equal(dataset.labels[samples], y)
            hold(same, f"{_loading(samples)} gives other targets than its labels say; give the same.")


def truths_fit_the_task(dataset: Dataset) -> None:
    """Truths in their own size, if there are any, are one map for each sample, the same each time, as the task has."""
    for samples in _some(dataset):
        found, again = truths_of(dataset, samples), truths_of(dataset, samples)
        if found is None or again is None:
            hold(found is again, "truths gives maps at one call and None at the next; give the same.")
            continue
        what = f"truths({list(samples[:3])}...)"
        hold(
            len(found) == len(samples), f"{what} gives {len(found)} maps; give one for each of {len(samples)} samples."
        )
        for sample, truth in zip(samples, found, strict=True):
            flat = isinstance(truth, Tensor) and truth.ndim == 2
            hold(flat, f"{what} gives no map (height, width) for sample {sample}; give a tensor of two dimensions.")
            _hold_targets(dataset, what, truth[None], [sample])
        same = all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
        hold(same, "Two calls of truths give other maps; they must not be random.")


def loading_is_repeatable(dataset: Dataset) -> None:
    """A sample is the same at every call, whichever other samples are loaded with it."""
    samples = looked_at(dataset)
    whole, again = dataset.load(samples), dataset.load(samples)
    hold(_equal(whole, again), "Two calls of load give other data; leave out random crops, flips and shuffling.")
    for place, sample in enumerate(samples[:COUNT]):
        x, y = whole
        own = x[place : place + 1], None if y is None else y[place : place + 1]
        same = _equal(dataset.load([sample]), own)
        hold(same, f"Sample {sample} differs when it is loaded alone; address samples by their index.")


def global_random_state_is_left_alone(dataset: Dataset) -> None:
    """Loading draws no random number from the global generators of torch, NumPy or Python."""
    before = global_random_states()
    dataset.load(looked_at(dataset))
    hold(before == global_random_states(), "load drew from a global random generator; the data must not be random.")


def training_images_fit(dataset: Dataset) -> None:
    """Training images, if there are any, are uint8 (N, C, H, W), at most as many as requested, with targets."""
    found = _training(dataset, COUNT)
    if found is None:
        return
    x, y = found
    fits = (
        isinstance(x, Tensor) and x.dtype == torch.uint8 and x.ndim == 4 and tuple(x.shape[1:]) == tuple(dataset.shape)
    )
    got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
    hold(fits, f"training({COUNT}) gives images of {got}; give uint8 (N, {', '.join(map(str, dataset.shape))}).")
    hold(0 < len(x) <= COUNT, f"training({COUNT}) gives {len(x)} images; give the first {COUNT}, or all.")
    _hold_targets(dataset, f"training({COUNT})", y, range(len(x)))


def training_images_are_others(dataset: Dataset) -> None:
    """No training image is among the evaluation images."""
    found = _training(dataset, COMPARED)
    if found is None:
        return
    seen = {image.numpy().tobytes() for image in found[0]}
    for start in range(0, min(COMPARED, len(dataset)), COUNT):
        x, _ = dataset.load(range(start, min(start + COUNT, len(dataset))))
        for place, image in enumerate((x * 255).round().byte(), start=start):
            hold(image.numpy().tobytes() not in seen, f"Evaluation sample {place} is a training image; split them.")


FACTS_CHECK = Check(facts_are_stated)
IMAGES_CHECKS = [
    *(
        Check(check, needs=("facts_are_stated",))
        for check in (fingerprint_names_the_data, labels_are_for_every_image, images_are_images)
    ),
    Check(targets_fit_the_task, needs=("facts_are_stated", "labels_are_for_every_image")),
    Check(truths_fit_the_task, needs=("facts_are_stated", "targets_fit_the_task")),
    Check(loading_is_repeatable, needs=("facts_are_stated", "images_are_images")),
]
"""The checks that every run makes of its data, beside `FACTS_CHECK`."""
DATASET_CHECKS = [
    FACTS_CHECK,
    *IMAGES_CHECKS,
    *(
        Check(check, needs=("facts_are_stated", "images_are_images"))
        for check in (global_random_state_is_left_alone, training_images_fit)
    ),
    Check(training_images_are_others, needs=("facts_are_stated", "images_are_images", "training_images_fit")),
]


def _some(dataset: Dataset) -> list[list[int]]:
    """Return lists of samples to load: many, the last one alone, and two out of order."""
    many = looked_at(dataset)
    return [many, [len(dataset) - 1], [many[-1], many[0]]]


def _loading(samples: Sequence[int]) -> str:
    return f"load({list(samples[:3])})" if len(samples) <= 3 else f"load of {len(samples)} samples"


def _training(dataset: Dataset, count: int) -> Loaded | None:
    """Return up to `count` training images with targets, or None if the data set has none."""
    try:
        return dataset.training(count)
    except FoolbenchError:
        return None


def _hold_targets(dataset: Dataset, what: str, targets: Tensor | None, samples: Sequence[int]) -> None:
    if targets is None:
        hold(dataset.labels is None, f"{what} gives no targets, but there are labels; give both or neither.")
        return
    try:
        check_targets(dataset.task, targets, samples)
    except InputError as error:
        hold(False, f"{what}: {error}")
    except Exception as error:  # noqa: BLE001 (the task may not foresee such targets)
        hold(False, f"{what} gives targets that the task cannot read: {one_line(error)}")


def _equal(some: Loaded, others: Loaded) -> bool:
    pairs = zip(some, others, strict=True)
    return all(one is other if one is None or other is None else torch.equal(one, other) for one, other in pairs)
