"""`foolbench train`: train a network of the zoo, or fit a defense that learns."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from ...core.dataset import Dataset
from ...core.errors import ConfigError, UnknownNameError
from ...core.files import writable_folder
from ...core.learned import Learned
from ...core.learned_defense import LearnedDefense
from ...core.model import Model
from ...core.place import ALONE, Place
from ...core.registry import datasets, defenses
from ...models import DENSE, ENTRIES
from ...models.training import Training, fit
from ...models.zoo import Entry
from ..engine.cache.cache import Cache
from ..engine.cache.shelf import Shelf
from ..engine.memory.heap import keep_freed_memory
from ..engine.networks.loading import load
from ..engine.networks.school import School
from ..engine.provenance.maker import device_name
from ..engine.work.progress import Progress
from ..opening.data import open_dataset
from ..opening.overrides import parse_overrides
from ..recipe.entries import Addressed
from ..report.results import choose_device
from .console import console, say

CHUNK = 64
REPORTED = 20
"""The number of batches between two reports of the loss; reading a loss makes the program wait for the device."""


def train(name: str, out: Path | None, device: str, options: Mapping[str, Any]) -> None:
    """Train a network or fit a defense, and print the paths of the files.

    Raises ConfigError for `out` with a defense, which belongs into the cache, where runs look for it, and for `options`
    with a network: they apply to defenses only.
    """
    if name in defenses and out is not None:
        raise ConfigError("--out is for networks: what a defense learns is kept in the user's cache, for runs to find.")
    if name in _trainable() and options:
        raise ConfigError(f"--{next(iter(options))} is for defenses: a network of the zoo is trained as it was.")
    device = choose_device(device)
    keep_freed_memory()
    with Progress(console, 1, name) as progress:
        if name in defenses:
            written = train_defense(
                name,
                progress,
                device,
                parameters=parse_overrides(options.get("set", [])),
                **{option: value for option, value in options.items() if option != "set"},
            )
        else:
            written = [train_network(name, progress, device, out)]
    for path in written:
        say(f"Written: {path}")


def train_network(name: str, progress: Progress, device: str = "cpu", out: Path | None = None) -> Path:
    """Train a network of the zoo and return the path of its weights; an interrupted training continues.

    Weights and model card are written to `out`, by default over the shipped ones. Raises UnknownNameError for an
    unknown network, and OutputError if the folder cannot be written.
    """
    known = _trainable()
    if name not in known:
        raise UnknownNameError("network or defense to train:", name, [*known, *defenses])
    entry = replace(known[name], folder=out or known[name].folder)
    writable_folder(entry.folder)  # checked now, not after an hour of training
    dataset = datasets[entry.learns_from or entry.dataset]()
    with progress.step("training images", entry.training_images, "images") as step:
        images, labels = dataset.training(entry.training_images, step.advance)
    assert labels is not None  # the embedded data sets have labels
    folder, net = writable_folder(user_cache_path("foolbench") / "training"), entry.build().to(device)
    checkpoints = [folder / f"{entry.dataset}-{entry.net}-{number}.pt" for number in range(len(entry.phases))]
    _fit_in_phases(net, entry, images, labels, checkpoints, progress)
    net.cpu()
    entry.save(net, f"foolbench train {name}", main_metric(entry.wrap(net), dataset), device_name(device))
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    return entry.weights


def _fit_in_phases(
    net: nn.Module, entry: Entry, images: Tensor, labels: Tensor, checkpoints: Sequence[Path], progress: Progress
) -> None:
    """Train in phases, each of which starts from the weights of the one before and keeps its own checkpoint."""
    begun = entry.training.begins_as
    beginning = None if begun is None else ENTRIES[begun].load().net.state_dict()
    for number, (phase, checkpoint) in enumerate(zip(entry.phases, checkpoints, strict=True)):
        fit(
            net,
            images,
            labels,
            phase,
            normalize=entry.normalize,
            loss=entry.loss,
            beginning=beginning,
            checkpoint=checkpoint,
            on_batch=_reporter(entry.phases, number, len(images), progress),
        )
        beginning = deepcopy(net.state_dict())


def _reporter(phases: Sequence[Training], number: int, images: int, progress: Progress) -> Callable[..., None]:
    """Return the callback that reports the batches of phase `number` to `progress`."""
    total = sum(phase.epochs for phase in phases)
    before = sum(phase.epochs for phase in phases[:number])
    batches = math.ceil(images / phases[number].batch_size)

    def report(epoch: int, batch: int, loss: Tensor) -> None:
        if (batch + 1) % REPORTED and batch + 1 < batches:
            return
        done = round((before + epoch + (batch + 1) / batches) * images)
        progress.main.at(done, total * images, f"images, epoch {before + epoch + 1}, loss {loss.item():.3f}")

    return report


def _trainable() -> dict[str, Entry]:
    return {**ENTRIES, **DENSE}


def train_defense(
    name: str,
    progress: Progress,
    device: str,
    *,
    parameters: Mapping[str, Any],
    dataset: str = "scenes",
    model: str = "scenes:caffenet",
    seed: int = 0,
) -> list[Path]:
    """Fit a defense anew, and return the paths of its cache entries.

    Later runs with these parameters, data, model and seed use them. Raises ConfigError for a defense that learns
    nothing, and for a negative seed.
    """
    if seed < 0:
        raise ConfigError(f"Expected --seed of 0 or more, as recipes have it, got {seed}.")
    defense, found, shelf = defenses.create(name, parameters), [], Shelf(Cache.default().folder)
    network, images = load(Addressed(name=model), open_dataset(dataset), resize=False)  # as a run loads them
    school = School(images, network.to(device), seed, progress, shelf)

    def taught(part: LearnedDefense, place: Place = ALONE) -> Learned:
        found.append(shelf.path(school.name(part, place)))
        return school.teach(part, place)

    defense.with_learned(taught)
    if not found:
        raise ConfigError(f"{name} learns nothing: it can be used as it is.")
    return found


def main_metric(model: Model, dataset: Dataset) -> float:
    """Return the task's main metric on all clean evaluation images, as a share of its best value, in [0, 1]."""
    metric, found = next(iter(model.task.metrics.values())), []
    for start in range(0, len(dataset), CHUNK):
        x, y = dataset.load(range(start, min(start + CHUNK, len(dataset))))
        assert y is not None  # the embedded data sets have labels
        found.append(metric.statistics(model.predict(x), y).double())
    return metric.share(metric.of_set(torch.cat(found).numpy()))
