"""Statistics of predictions against the ground truth, in the truth's own size."""

import torch
from torch import Tensor

from ....core.errors import InputError
from ....core.task import Metric, Task
from ...leaderboard.grouping import grouped
from ..crafting.shard import Shard


def against_truth(metric: Metric, task: Task, shard: Shard, predictions: Tensor, clean: Tensor) -> Tensor:
    """Return the statistics (N, ...) of a system's predictions against the truth; `clean` are those for clean images.

    Predicted maps are resized to a truth that has a size of its own, as papers do: at the size of the network's input
    other pixels would count. Raises InputError for a shard without truth.
    """
    truths = shard.truths
    if shard.y is None:
        raise InputError("Expected a shard with ground truth, got one without.")
    if truths is None:
        return metric.statistics(metric.align(predictions, shard.y, clean), shard.y)
    parts: list[Tensor] = []
    of_size = grouped(range(len(truths)), lambda row: truths[row].shape)
    for (height, width), rows in of_size.items():
        truth = torch.stack([truths[row] for row in rows])
        found, before = (task.resized(maps[rows], (height, width)) for maps in (predictions, clean))
        parts.append(metric.statistics(metric.align(found, truth, before), truth))
    order = torch.tensor([row for rows in of_size.values() for row in rows])
    return torch.cat(parts)[order.argsort()]
