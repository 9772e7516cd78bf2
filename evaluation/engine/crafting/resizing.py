"""Resize images and perturbations between networks of different image sizes: bilinear, antialiased if made smaller."""

from collections.abc import Sequence, Set
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ....core.dataset import Advance, Dataset
from ....core.errors import ConfigError
from ....core.task import Task
from ....core.threat import Threat
from ....core.training_images import training_fingerprint_of
from ....datasets.substitutes import photographs_shown_by
from ....tasks.maps import nearest
from .crafted import Crafted
from .storage import Storage


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return images or perturbations (N, C, H, W) resized to `size` (H, W), or unchanged if they have it."""
    return x if list(x.shape[2:]) == list(size) else F.interpolate(x, list(size), mode="bilinear", antialias=True)


class Resized(Dataset):
    """A data set whose images, and targets that are maps, are resized to `size` (H, W)."""

    def __init__(self, dataset: Dataset, size: Sequence[int]) -> None:
        height, width = size
        self.original, self._size = dataset, (height, width)
        self.name = dataset.name

    @property
    def task(self) -> Task:
        return self.original.task

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.original.shape[0], *self._size

    @property
    def fingerprint(self) -> str:
        return f"{self.original.fingerprint} in {self._size[0]} x {self._size[1]}"

    @property
    def labels(self) -> Tensor | None:
        return self.original.labels

    def training_fingerprint(self) -> str:
        return training_fingerprint_of(self.original)

    def photographs_shown(self) -> Set[str]:
        return photographs_shown_by(self.original)

    def __len__(self) -> int:
        return len(self.original)

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        images, targets = self.original.load(samples)
        return resized(images, self._size).clamp(0, 1), self._fitted(targets)

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor | None]:
        images, targets = self.original.training(count, advance)
        images = resized(images.float(), self._size).round().clamp(0, 255).to(torch.uint8)
        return images, self._fitted(targets)

    def _fitted(self, targets: Tensor | None) -> Tensor | None:
        """Return maps (N, H, W) resized to the images by nearest pixels; other targets unchanged."""
        return targets if targets is None or targets.ndim != 3 else nearest(targets, self._size)


def carried_over(crafted: Crafted, change: Tensor, x: Tensor, threat: Threat) -> Crafted:
    """Transfer adversarial images to another network, whose clean images are `x` (N, C, H, W).

    The perturbation `change` (N or 1, C, H, W) at the first network's input is resized, added to `x`, and projected
    onto the budget and [0, 1], so that the budget holds at both inputs. 8-bit images are rounded to the nearest levels
    within it. What the attack was to reach is dropped: it is told in the source's classes, or in its view of a picture.
    Raises ConfigError if the numbers of channels differ.
    """
    if change.shape[1] != x.shape[1]:
        raise ConfigError(
            f"What is crafted on images of {change.shape[1]} channels changes none of {x.shape[1]}; choose a source "
            "that takes the same."
        )
    x_adv = threat.project(x + resized(change, x.shape[2:]), x)
    if crafted.stored.dtype == torch.uint8:
        x_adv, _ = Storage(threat=threat, x=x, fools=_nothing).search(x_adv)
    return replace(crafted, stored=x_adv, goals=None)


def _nothing(images: Tensor, rows: Tensor) -> Tensor:
    return torch.zeros(len(rows), dtype=torch.bool, device=images.device)
