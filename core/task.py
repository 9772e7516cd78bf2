"""What a model's output means: its loss, its decoded prediction, its metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How well predictions agree with a reference, image by image; larger is better.

    `per_image(prediction, reference)` gives float (N,) in [0, range]. `proportion` says that every image scores either
    0 or `range`, so that the mean is a proportion with a Wilson interval.
    """

    per_image: Callable[[Tensor, Tensor], Tensor]
    range: float
    proportion: bool


@runtime_checkable
class Task(Protocol):
    """Implemented by `foolbench.tasks`. Tensors have the batch first."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Name -> metric; the first is the task's main one."""
        ...

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        """Raise InputError unless a model's outputs have the shape this task needs."""
        ...

    def check_targets(self, targets: Tensor, samples: int) -> None:
        """Raise InputError unless targets have this task's shape, type and values."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Per-sample training loss, shape (N,)."""
        ...

    def average(self, outputs: Tensor) -> Tensor:
        """Outputs for several views of each image (N, V, ...) to those for the images (N, ...)."""
        ...

    def predict(self, outputs: Tensor) -> Tensor:
        """Decode outputs into what targets look like."""
        ...
