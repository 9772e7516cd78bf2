"""Choose the evaluation images of a run: a reproducible sample, the same for every attack and defense."""

from collections import defaultdict
from collections.abc import Sequence

from ...core.dataset import Dataset
from ...core.seeding import derive_key
from ..recipe.recipe import Sampling

LOOKED_AT = 64
"""The number of evaluation samples by which a data set is checked and recognised."""


def sample(dataset: Dataset, count: int, sampling: Sampling, seed: int) -> tuple[int, ...]:
    """Return `count` indices of evaluation samples, in the order in which a run takes them.

    "random" shuffles; "balanced" shuffles and lets the classes take turns, as long as they last; "first" does not
    shuffle: in a folder that is sorted by class, the first images are all of one class. A larger sample begins with the
    smaller one.
    """
    if sampling == "first":
        return tuple(range(count))
    order = sorted(range(len(dataset)), key=lambda index: derive_key(seed, "sampling", index))
    labels = dataset.labels if sampling == "balanced" else None
    return tuple(order[:count] if labels is None else _in_turn(order, labels.tolist())[:count])


def looked_at(dataset: Dataset) -> list[int]:
    """Return the sorted indices of random evaluation samples, always the same, by which a data set is checked."""
    order = sorted(range(len(dataset)), key=lambda index: derive_key("looked at", index))
    return sorted(order[:LOOKED_AT])


def _in_turn(order: Sequence[int], labels: Sequence[int]) -> list[int]:
    """Return the first sample of every class, then the second of every class, and so on, otherwise in `order`."""
    turns: dict[int, list[int]] = defaultdict(list)
    seen: dict[int, int] = defaultdict(int)
    for index in order:
        turns[seen[labels[index]]].append(index)
        seen[labels[index]] += 1
    return [index for turn in turns.values() for index in turn]
