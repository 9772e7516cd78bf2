"""Train one network of the zoo on its dataset and write weights and model card."""

import math
from dataclasses import replace
from pathlib import Path

from platformdirs import user_cache_path

from ..core.dataset import Dataset
from ..core.errors import UnknownNameError
from ..core.files import writable_folder
from ..core.model import Model
from ..core.registry import datasets
from ..models import ENTRIES
from ..models.training import fit
from .progress import Progress

CHUNK = 256


def train(name: str, progress: Progress, out: Path | None = None) -> Path:
    """Weights and card go to `out`, or over those that ship. Continues where an earlier call was broken off.

    Returns the path of the weights. Raises UnknownNameError, and OutputError where they could not be written.
    """
    if name not in ENTRIES:
        raise UnknownNameError("trainable model", name, ENTRIES)
    entry = replace(ENTRIES[name], folder=out or ENTRIES[name].folder)
    writable_folder(entry.folder)  # asked now, not after an hour of training
    dataset = datasets[entry.dataset]()
    with progress.step("training images", entry.training_images, "images") as step:
        images, labels = dataset.training(entry.training_images, step.advance)
    checkpoints = user_cache_path("foolbench") / "training"
    checkpoints.mkdir(parents=True, exist_ok=True)
    checkpoint = checkpoints / f"{entry.dataset}-{entry.net}.pt"
    net = entry.build()
    total = entry.training.epochs * len(images)
    batches = math.ceil(len(images) / entry.training.batch_size)

    def show(epoch: int, batch: int, loss: float) -> None:
        done = round((epoch + (batch + 1) / batches) * len(images))
        progress.main.at(done, total, f"images, epoch {epoch + 1}, loss {loss:.3f}")

    fit(net, images, labels, entry.training, normalize=entry.normalize, checkpoint=checkpoint, on_batch=show)
    entry.save(net, f"foolbench train {name}", top1(entry.wrap(net), dataset))
    checkpoint.unlink(missing_ok=True)
    return entry.weights


def top1(model: Model, dataset: Dataset) -> float:
    """Clean accuracy on the whole evaluation split, 0..1."""
    correct = 0
    for start in range(0, len(dataset), CHUNK):
        x, y = dataset.load(start, min(start + CHUNK, len(dataset)))
        correct += int((model.predict(x) == y).sum())
    return correct / len(dataset)
