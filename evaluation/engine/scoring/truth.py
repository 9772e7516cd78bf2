"""Statistics of predictions against the ground truth, in the truth's own size."""

import torch
from torch import Tensor

from ....core.errors import InputError
from ....core.task import Metric, Task
from ..crafting.shard import Shard


def against_truth(metric: Metric, task: Task, shard: Shard, predictions: Tensor, clean: Tensor) -> Tensor:
    """Return the statistics (N, ...) of a system's predictions against the truth; `clean` are those for clean images.

    Predicted maps are resized to a truth that has a size of its own, as papers do: a prediction at the size of the
    network's input looks better, or worse, than one that is compared with every pixel of the truth. Raises InputError
    for a shard without truth.
    """
    if shard.y is None:
        raise InputError("Expected a shard with ground truth, got one without.")
    if shard.truths is None:
        return metric.statistics(metric.align(predictions, shard.y, clean), shard.y)
    parts: list[Tensor] = []
    for row, truth in enumerate(shard.truths):
        height, width = truth.shape
        found, before = (task.resized(maps[row : row + 1], (height, width)) for maps in (predictions, clean))
        parts.append(metric.statistics(metric.align(found, truth[None], before), truth[None]))
    return torch.cat(parts)
