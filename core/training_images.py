"""Data sets whose training images may change while the images that are evaluated stay, as those of two folders do."""

from typing import Protocol, runtime_checkable

from .dataset import Dataset


@runtime_checkable
class TrainingFingerprinted(Protocol):
    """A data set may implement it as well. What its training images decide is then made anew when they are others."""

    def training_fingerprint(self) -> str:
        """Hash of all training images and their targets: equal exactly where these are; empty where there are none."""
        ...


def training_fingerprint_of(dataset: Dataset) -> str:
    """Empty for a data set that does not say it, as one whose training images are named by its own fingerprint."""
    return dataset.training_fingerprint() if isinstance(dataset, TrainingFingerprinted) else ""
