"""A system's predictions for clean and attacked images, and the statistics that the ledger keeps of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....core.task import Metric, Task
from ..crafting.shard import Shard
from .truth import against_truth


class Answers(NamedTuple):
    """A system's predictions, one tensor per draw: for clean images, for them once more (`again`), for attacked ones.

    `references` are the clean predictions as the reference of GFR: pixels that are void in the targets are void there.
    """

    clean: list[Tensor]
    again: list[Tensor]
    attacked: list[Tensor]
    references: list[Tensor]

    def columns(self, metric: Metric, task: Task, shard: Shard, goals: Tensor | None) -> dict[str, NDArray[np.float64]]:
        """Return the columns that the ledger keeps of a metric, as means over draws.

        Those against the truth need a shard with targets, and those against the attack's `goals` need these.
        """
        found = {"gfr": self._changed(metric, self.attacked), "floor": self._changed(metric, self.again)}
        if shard.y is not None:
            for name, predictions in (("clean", self.clean), ("attacked", self.attacked)):
                draws = zip(predictions, self.clean, strict=True)
                found[name] = _mean([against_truth(metric, task, shard, *draw) for draw in draws])
        if goals is not None:
            found["at_target"] = _mean(self._at(goals, metric, task))
        return found

    def _at(self, goals: Tensor, metric: Metric, task: Task) -> list[Tensor]:
        """Return the statistics against the goals; a rejection, which `align` takes for the reference, reaches none."""
        if task.rejected is not None:
            return [metric.statistics(prediction, goals) for prediction in self.attacked]
        return self._agreement(metric, self.attacked, [goals] * len(self.attacked))

    def rejections(self, rejected: int, targets: Tensor | None) -> dict[str, NDArray[np.float64]]:
        """Return the columns of a system that may answer with the class `rejected`, as means over draws.

        See `leaderboard.abstaining` for what they mean.
        """
        found = {
            "rejected_clean": _mean([prediction == rejected for prediction in self.clean]),
            "detected": _mean([prediction == rejected for prediction in self.attacked]),
        }
        if targets is not None:
            found["corrected"] = _mean([prediction == targets for prediction in self.attacked])
        return found

    def _changed(self, metric: Metric, found: list[Tensor]) -> NDArray[np.float64]:
        """Return the fooling rate (N,), or the statistics of the agreement if the ledger keeps those."""
        agreement = self._agreement(metric, found, self.references)
        return _mean([metric.lack(values) for values in agreement] if metric.keeps_rates else agreement)

    def _agreement(self, metric: Metric, found: list[Tensor], references: Sequence[Tensor]) -> list[Tensor]:
        return [
            metric.statistics(metric.align(prediction, reference, clean), reference)
            for prediction, reference, clean in zip(found, references, self.clean, strict=True)
        ]


def _mean(per_draw: list[Tensor]) -> NDArray[np.float64]:
    return torch.stack(per_draw).double().mean(dim=0).cpu().numpy()
