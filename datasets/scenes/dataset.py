"""The scenes benchmark: 1,020 evaluation images that ship with foolbench, and a training split rendered on demand."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...core.dataset import Advance
from ...core.registry import register_dataset
from ...core.task import Task
from ...tasks.depth import Depth
from ...tasks.recognition import Recognition
from ...tasks.segmentation import Segmentation
from .composition import CLASSES
from .sheets import EVALUATION, read_sheets
from .solids import SOLIDS
from .splits import DEPTH_STEP, SIZE, Shard, fingerprint, rendered


@register_dataset("scenes")
class Scenes:
    """Recognition of the largest solid and its material: 30 classes, rendered RGB images of 128 x 128 pixels."""

    name = "scenes"
    task: Task = Recognition(classes=len(CLASSES))
    shape = (3, SIZE, SIZE)

    @property
    def scenes(self) -> Shard:
        """The evaluation split, with the ground truth of all three tasks."""
        return _evaluation()

    @property
    def fingerprint(self) -> str:
        return _fingerprint()

    def __len__(self) -> int:
        return len(self.scenes.labels)

    @property
    def labels(self) -> Tensor:
        return torch.from_numpy(self.scenes.labels)

    def load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows, every = list(samples), self.scenes
        chosen = Shard(every.images[rows], every.segmentations[rows], every.depths[rows], every.labels[rows])
        return _channels_first(chosen.images).float().div_(255), self.targets(chosen)

    def training(self, count: int, advance: Advance = lambda images: None) -> tuple[Tensor, Tensor]:
        shard = rendered("train", count, advance=advance)
        return _channels_first(shard.images), self.targets(shard)

    def targets(self, scenes: Shard) -> Tensor:
        """Return the targets of these scenes for the data set's task."""
        return torch.from_numpy(scenes.labels)


@register_dataset("scenes-segmentation")
class SceneMaps(Scenes):
    """Segmentation of the images of `scenes`: background, class 0, or one of six solids for each pixel."""

    name = "scenes-segmentation"
    task: Task = Segmentation(classes=1 + len(SOLIDS))

    @property
    def fingerprint(self) -> str:
        return f"{_fingerprint()}-maps"

    def targets(self, scenes: Shard) -> Tensor:
        return torch.from_numpy(scenes.segmentations).long()


@register_dataset("scenes-depth")
class SceneDepths(Scenes):
    """Depth of the images of `scenes`: distance along the camera's axis in scene units, with walls at z = 7.5 to 10."""

    name = "scenes-depth"
    task: Task = Depth(min_depth=0.5, max_depth=12.0)

    @property
    def fingerprint(self) -> str:
        return f"{_fingerprint()}-depths"

    def targets(self, scenes: Shard) -> Tensor:
        return torch.from_numpy(scenes.depths * np.float32(DEPTH_STEP))


@cache
def _evaluation() -> Shard:
    """Read the evaluation split, cached because decoding takes a second."""
    return read_sheets(EVALUATION)


@cache
def _fingerprint() -> str:
    return fingerprint(_evaluation())


def _channels_first(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
