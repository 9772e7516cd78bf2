"""What the bare network makes of the clean images: looked at before anything is attacked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...core.errors import ConfigError
from ...core.task import Task
from ..leaderboard.flags import LABEL_ORDER, NO_BETTER_THAN_CHANCE, ONE_CLASS
from ..leaderboard.rates import rate_of
from .scoring import Shard, System

CONFIDENCE, TOLERANCE = 0.999, 1.0
"""How sure it must be that a clean rate is not the expected one, and how many points do not matter."""
FEW = 8
"""So few answers may all be the same by chance."""


def clean_doubts(
    system: System, shards: Iterable[Shard], expected: float | None, clusters: Sequence[int] | None = None
) -> set[str]:
    """The flags of a network that has not learned the task of these images; of images without labels none.

    Raises ConfigError where its rate, in percent, is not the one `expected`.
    """
    name, metric = next(iter(system.model.task.metrics.items()))
    scores: list[Tensor] = []
    answers = _Answers()
    for shard in shards:
        predictions = system.clean(shard)[0]
        if shard.y is not None:
            aligned = metric.align(predictions, shard.y, predictions)
            scores.append(metric.statistics(aligned, shard.y).double().cpu())
            answers.add(predictions, shard.y)
    if not scores:
        if expected is not None:
            raise ConfigError("Expected images with labels for expect_clean, got none; leave it out.")
        return set()
    whole = torch.cat(scores)
    rate = rate_of(metric, whole.numpy(), confidence=CONFIDENCE, clusters=clusters)
    if expected is not None and not 100 * rate.low - TOLERANCE <= expected <= 100 * rate.high + TOLERANCE:
        raise ConfigError(
            f"Expected {system.model.name} to have a clean {name} of {expected:.4g}% (expect_clean), got "
            f"{100 * rate.mean:.4g}% of {len(whole)} images (99.9%: {100 * rate.low:.4g}-{100 * rate.high:.4g}, and "
            f"{TOLERANCE:g} point beyond is allowed); look at its normalisation, image size and order of labels."
        )
    return answers.doubts(system.model.task, rate.low) if len(whole) >= FEW else set()


@dataclass
class _Answers:
    """Which classes a network has said, and which are true; of answers that are no single class nothing is kept."""

    said: set[int] = field(default_factory=set)
    true: set[int] = field(default_factory=set)

    def add(self, p: Tensor, y: Tensor) -> None:
        if p.ndim == 1:
            self.said.update(p.tolist())
            self.true.update(y.tolist())

    def doubts(self, task: Task, low: float) -> set[str]:
        classes, said, true = getattr(task, "classes", None), len(self.said), len(self.true)
        if classes is None or not said:
            return set()
        flags = {ONE_CLASS} if said == 1 < true else set()
        if low <= 1 / classes:
            flags |= {NO_BETTER_THAN_CHANCE}
            flags |= {LABEL_ORDER} if said > 1 and 2 * said >= true else set()
        return flags
