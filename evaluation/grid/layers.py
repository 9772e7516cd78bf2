"""Which layers of a network a recipe looks at."""

from collections.abc import Sequence

FEATURES = "features"
"""Stands for all layers that a network names as its features."""


def named(layers: Sequence[str], features: Sequence[str]) -> list[str]:
    """A recipe's layers of a network with these features, in their order, each once."""
    known = [name for layer in layers for name in (features if layer == FEATURES else [layer])]
    return list(dict.fromkeys(known))
