"""Search the worst case over attacks for a metric that is no mean over images, such as the mIoU of a set."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.task import Metric, Numbers

PASSES = 100
"""The largest number of passes over the images."""
GAIN = 1e-6
"""The search ends after a pass that lowers the metric, scaled to 0..1, by less than this."""


def lowest(candidates: Sequence[Numbers], metric: Metric) -> NDArray[np.int64]:
    """Return the index (N,) of the candidate whose statistics (N, S) count for each image in the worst case found.

    It is a local search: it starts with the candidate that is worst over all images together, and visits the images in
    random order, moving each to the candidate that makes the metric of the summed statistics worst, until that gains
    nothing more (as Croce et al. 2024 do for SEA, https://arxiv.org/abs/2306.12941). The result is at least as bad as
    every candidate alone; some other choice may be worse still.
    """
    stacked = np.stack(candidates)
    alone = _goodness(stacked.sum(axis=1), metric)
    choice = np.full(stacked.shape[1], int(alone.argmin()))
    total, before, rng = stacked[alone.argmin()].sum(axis=0), float(alone.min()), np.random.default_rng(0)
    differing = np.flatnonzero((stacked != stacked[:1]).any(axis=(0, 2)))
    for _ in range(PASSES):
        now = before
        for image in rng.permutation(differing):
            sums = total - stacked[choice[image], image] + stacked[:, image]
            goodness = _goodness(sums, metric)
            best = int(goodness.argmin())
            if goodness[best] < now:
                choice[image], total, now = best, sums[best], float(goodness[best])
        if before - now < GAIN:
            break
        before = now
    return choice


def _goodness(sums: Numbers, metric: Metric) -> Numbers:
    assert metric.value is not None  # the worst case of a mean is exact
    return metric.share(metric.value(sums))
