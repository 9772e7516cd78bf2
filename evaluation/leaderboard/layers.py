"""Average over images how far the activations of each layer move under each attack, if a recipe names layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..grid.described import Row, described
from ..grid.layers import named
from ..ledger.ledger import DamagedRecordError
from .source import ScoredRun, Source
from .stats import Estimate, estimate


@dataclass(frozen=True, kw_only=True, eq=False)
class Moved:
    """How far the layers of one system move under one attack, with an entry per layer in every sequence.

    `facts` are the columns of the leaderboard that identify the row, `cell` is the cell's key. The others are means
    over images of L2 norms: `relative` of |l(x') - l(x)| / |l(x)| over images with |l(x)| > 0, None if there are none;
    `moved` of |l(x') - l(x)|; and `alone` of |l(mean image + x' - x)|, the response to the perturbation by itself,
    which is known for bare networks only.
    """

    facts: Row
    cell: str
    layers: Sequence[str]
    relative: Sequence[Estimate | None]
    moved: Sequence[float]
    alone: Sequence[float] | None


def moved_layers(run: ScoredRun) -> list[Moved]:
    """Return the movement of layers in every finished cell; an empty list if the recipe names no layers."""
    if not run.recipe.layers:
        return []
    first = next(iter(run.facts.task.metrics))
    return [moved for source in run.sources if source.name == first for moved in _of_model(source)]


def _of_model(source: Source) -> Iterator[Moved]:
    run, layers = source.run, named(source.run.recipe.layers, source.identity["features"])
    for cell in source.cells:
        try:
            outcomes = run.ledger.outcomes(source.key(cell))
        except DamagedRecordError:
            continue
        known = {} if outcomes is None else outcomes.only(run.facts.ordered).images
        if "layers_clean" not in known or len(known["layers_clean"]) != len(run.facts.samples):
            continue
        clean, moved = known["layers_clean"].astype(float), known["layers_moved"].astype(float)
        alone = known["layers_alone"].astype(float).mean(axis=0).tolist() if "layers_alone" in known else None
        yield Moved(
            facts=described(cell),
            cell=source.key(cell),
            layers=layers,
            relative=[_relative(*both, run.facts.groups) for both in zip(clean.T, moved.T, strict=True)],
            moved=moved.mean(axis=0).tolist(),
            alone=alone,
        )


def _relative(
    clean: NDArray[np.float64], moved: NDArray[np.float64], groups: NDArray[np.int64] | None
) -> Estimate | None:
    """Return the mean relative movement over images on which the layer is not all zero, or None without any."""
    alive = clean > 0
    if not alive.any():
        return None
    clusters = None if groups is None else groups[alive]
    return estimate(moved[alive] / clean[alive], proportion=False, clusters=clusters)
