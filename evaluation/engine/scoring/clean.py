"""Check the bare network on the clean images, before anything is attacked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ....core.errors import ConfigError
from ....core.model import Model
from ....core.words import counted
from ...leaderboard.flags import LABEL_ORDER, NO_BETTER_THAN_CHANCE, ONE_CLASS
from ...leaderboard.rates import rate_of
from ..crafting.shard import Shard
from ..work.units import Seen
from .system import System
from .truth import against_truth

CONFIDENCE, TOLERANCE = 0.999, 1.0
"""The confidence level of the interval around a clean rate, and the percentage points beyond it that are tolerated."""
FEW = 8
"""The fewest images that can raise a flag: fewer predictions may all be the same by chance."""


def look(system: System, shard: Shard) -> Seen:
    """Evaluate the bare network, as a `system` without defense, on a shard of clean images."""
    predictions = system.clean(shard)[0]
    said, count, flags = _classes(predictions), len(predictions), frozenset(system.flags)
    if shard.y is None:
        return Seen(count, None, said, frozenset(), flags)
    metric = next(iter(system.model.task.metrics.values()))
    statistics = against_truth(metric, system.model.task, shard, predictions, predictions).double().cpu()
    return Seen(count, statistics, said, _classes(shard.y) if said else frozenset(), flags)


def clean_doubts(
    model: Model, looks: Sequence[Seen], expected: float | None, clusters: Sequence[int] | None = None
) -> set[str]:
    """Return a bare network's flags, among them those of one that has not learned the task of these images.

    Without labels all that can be told of the latter is whether it says one class for all of them. Raises ConfigError
    if the clean rate is not the one `expected`, in percent, or if a rate is expected of images without labels.
    """
    flags = set[str]().union(*(seen.flags for seen in looks))
    statistics = [seen.statistics for seen in looks if seen.statistics is not None]
    if not statistics:
        if expected is not None:
            raise ConfigError("Expected images with labels for expect_clean, got none; leave it out.")
        said = frozenset[int]().union(*(seen.said for seen in looks))
        return flags | ({ONE_CLASS} if len(said) == 1 and sum(seen.images for seen in looks) >= FEW else set())
    name, metric = next(iter(model.task.metrics.items()))
    whole = torch.cat(statistics)
    rate = rate_of(metric, whole.numpy(), confidence=CONFIDENCE, clusters=clusters)
    if expected is not None and not 100 * rate.low - TOLERANCE <= expected <= 100 * rate.high + TOLERANCE:
        raise ConfigError(
            f"Expected {model.name} to have a clean {name} of {expected:.4g}% (expect_clean), got "
            f"{100 * rate.mean:.4g}% of {counted(len(whole), 'image')} (99.9%: {100 * rate.low:.4g}-"
            f"{100 * rate.high:.4g}, and {TOLERANCE:g} point beyond is allowed); look at its normalisation, image size "
            "and order of labels."
        )
    return flags | _untaught(model, looks, rate.low) if len(whole) >= FEW else flags


def _classes(answers: Tensor) -> frozenset[int]:
    """Return the classes among answers (N,); none of answers that are maps."""
    return frozenset(answers.tolist()) if answers.ndim == 1 else frozenset()


def _untaught(model: Model, looks: Sequence[Seen], low: float) -> set[str]:
    """Return the flags of a network that has not learned the task; none if a prediction is not a single class."""
    classes = getattr(model.task, "classes", None)
    said = len(frozenset[int]().union(*(seen.said for seen in looks)))
    true = len(frozenset[int]().union(*(seen.true for seen in looks)))
    if classes is None or not said:
        return set()
    flags = {ONE_CLASS} if said == 1 < true else set()
    if low <= 1 / classes:
        flags |= {NO_BETTER_THAN_CHANCE}
        flags |= {LABEL_ORDER} if said > 1 and 2 * said >= true else set()
    return flags
