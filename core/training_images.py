"""Data sets whose training images may change while the evaluation images stay, such as those of two folders."""

from typing import Protocol, runtime_checkable

from .dataset import Dataset


@runtime_checkable
class TrainingFingerprinted(Protocol):
    """An optional interface of data sets: what depends on their training images is made anew when these change."""

    def training_fingerprint(self) -> str:
        """Return a hash of all training images and targets: equal exactly if these are; empty if there are none."""
        ...


def training_fingerprint_of(dataset: Dataset) -> str:
    """Return the training fingerprint of a data set; empty if its own fingerprint covers its training images."""
    return dataset.training_fingerprint() if isinstance(dataset, TrainingFingerprinted) else ""
