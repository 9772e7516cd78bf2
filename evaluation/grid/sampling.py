"""Which evaluation images a run takes: a stated sample, the same for every attack and defense."""

from collections import defaultdict
from collections.abc import Sequence

from ...core.dataset import Dataset
from ...core.seeding import derive_key
from ..recipe.recipe import Sampling

LOOKED_AT = 64
"""How many of them show whether the data are what they are said to be."""


def sample(dataset: Dataset, count: int, sampling: Sampling, seed: int) -> tuple[int, ...]:
    """`count` indices of evaluation samples, in the order in which they are taken: more of them begin with fewer.

    "random" is a shuffle; "balanced" one in which the classes take turns, as long as they last; "first" none.
    Folders of images lie sorted by class, so the first are of one.
    """
    if sampling == "first":
        return tuple(range(count))
    order = sorted(range(len(dataset)), key=lambda index: derive_key(seed, "sampling", index))
    labels = dataset.labels if sampling == "balanced" else None
    return tuple(order[:count] if labels is None else _in_turn(order, labels.tolist())[:count])


def looked_at(dataset: Dataset) -> list[int]:
    """Some evaluation samples, spread over all: by them the data's promises are checked and the data known again."""
    order = sorted(range(len(dataset)), key=lambda index: derive_key("looked at", index))
    return sorted(order[:LOOKED_AT])


def _in_turn(order: Sequence[int], labels: Sequence[int]) -> list[int]:
    """The first of every class, then the second of every class, and so on; the rest of the order as it was."""
    turns: dict[int, list[int]] = defaultdict(list)
    seen: dict[int, int] = defaultdict(int)
    for index in order:
        turns[seen[labels[index]]].append(index)
        seen[labels[index]] += 1
    return [index for turn in turns.values() for index in turn]
