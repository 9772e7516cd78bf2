"""The layers of a network whose outputs a recipe compares."""

from collections.abc import Sequence

FEATURES = "features"
"""A name in a recipe that stands for all feature layers of a network."""


def named(layers: Sequence[str], features: Sequence[str]) -> list[str]:
    """Return the layers that a recipe names, in its order, each once; `features` are the network's feature layers."""
    known = [name for layer in layers for name in (features if layer == FEATURES else [layer])]
    return list(dict.fromkeys(known))
